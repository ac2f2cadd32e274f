"""A run folder as one HTML file to send round: tables, plots, samples, failures, definitions."""

from eval.reconstruction.report.reconstruction_folder import ReportError
from eval.reconstruction.report.reconstruction_page import REPORT, build, write

__all__ = ["REPORT", "ReportError", "build", "write"]
