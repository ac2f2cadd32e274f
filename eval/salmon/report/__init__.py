"""A run folder of salmon.py as one HTML file to send round: table, score differences, pairs to listen to, failures."""

from eval.harness.pages.shell import REPORT
from eval.harness.run_folder import ReportError
from eval.salmon.report.salmon_page import REPORT_OF_SALMON

build, write = REPORT_OF_SALMON.build, REPORT_OF_SALMON.write

__all__ = ["REPORT", "REPORT_OF_SALMON", "ReportError", "build", "write"]
