"""A run folder of salmon.py as one HTML file to send round: table, score differences, pairs to listen to, failures."""

from eval.coherence.report.page import REPORT, build, write
from eval.reporting.folder import ReportError

__all__ = ["REPORT", "ReportError", "build", "write"]
