"""A run folder's report: one HTML file to send round, by the schema of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.harness import manifest, run_folder
from eval.harness.pages.shell import REPORT
from eval.harness.run_folder import RunFolder
from eval.harness.schema import ResultsSchema
from soundcodec_llmcodec.pages import single_file


@dataclass(frozen=True)
class RunReport:
    """The report of one kind of run: the schema that it is of, and the page that is made of a folder."""

    schema: ResultsSchema
    page: Callable[[RunFolder], str]

    def build(self, path: Path) -> str:
        """The report of a run folder as the text of one HTML file: no network, no other files.

        Raises ReportError where the folder holds no run of this schema. A missing sample file is said in its place.
        """
        return self.page(run_folder.read(path, self.schema))

    def write(self, path: Path, output: Path | None = None) -> Path:
        """Build the report and write it, whole or not at all, to `output` or report.html in the folder. Returns where.

        Raises manifest.ForeignFileError where the folder has a report.html that no run wrote.
        """
        text = self.build(path)
        if output is not None:
            return single_file.write(text, output)
        with manifest.written(path, REPORT) as unfinished:
            single_file.write(text, unfinished)
        return path / REPORT


def of_folder(path: Path, reports: Sequence[RunReport]) -> RunReport:
    """The one of the reports that can be made of a folder. Raises ReportError where none can."""
    schema = run_folder.schema_of(path, [report.schema for report in reports])
    return next(report for report in reports if report.schema == schema)
