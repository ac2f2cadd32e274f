"""A run folder of salmon.py as one HTML file to send round: table, score differences, pairs to listen to, failures."""

from eval.reconstruction.report.reconstruction_folder import ReportError
from eval.salmon.report.salmon_page import REPORT, build, write

__all__ = ["REPORT", "ReportError", "build", "write"]
