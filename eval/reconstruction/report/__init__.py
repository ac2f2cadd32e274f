"""A run folder as one HTML file to send round: tables, plots, samples, failures, definitions."""

from eval.harness.pages.shell import REPORT
from eval.harness.run_folder import ReportError
from eval.reconstruction.report.reconstruction_page import REPORT_OF_RECONSTRUCTION

build, write = REPORT_OF_RECONSTRUCTION.build, REPORT_OF_RECONSTRUCTION.write

__all__ = ["REPORT", "REPORT_OF_RECONSTRUCTION", "ReportError", "build", "write"]
