"""A run folder as one HTML file to send round: tables, plots, samples, failures, definitions."""

from eval.reporting.folder import ReportError
from eval.reporting.page import REPORT, build, write

__all__ = ["REPORT", "ReportError", "build", "write"]
