"""results.json as every measurement begins it, and the files that a run leaves, each written whole or not at all."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.harness.provenance import PACKAGES, commit, machine, versions
from eval.harness.run_files import as_json, as_lines, write_files
from eval.harness.schema import RESULTS, ResultsSchema


def files(schema: ResultsSchema, *, report: bool = True) -> tuple[str, ...]:
    """The files that a run leaves in its folder, samples apart."""
    tables = ("table.csv", f"{Path(schema.rows_file).stem}.csv", "table.tex")
    return (RESULTS, schema.rows_file, "table.md", *(["report.html"] if report else []), *tables)


def heading(
    schema: ResultsSchema,
    *,
    mark: str | None,
    command_line: Sequence[str],
    settings: Mapping[str, Any],
    statistics: Mapping[str, Any],
    packages: Sequence[str] = PACKAGES,
    about_scores: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The keys that every results.json has, JSON-ready and in this order.

    `mark` says why the numbers are not for reporting, where they are not; `about_scores` are keys that stand beside it.
    """
    return {
        "schema": schema.name,
        "schema_version": schema.version,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "for_reporting": mark is None,
        "mark": mark,
        **(about_scores or {}),
        "command_line": list(command_line),
        "settings": dict(settings),
        "statistics": dict(statistics),
        "versions": versions(packages),
        "git": commit(),
        "platform": machine(),
    }


def write(
    folder: Path, schema: ResultsSchema, contents: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], table: str
) -> None:
    """Write rows, table.md and results.json into a folder, which is made where it is missing; results.json comes last,
    so that where it stands the others do."""
    files = {schema.rows_file: as_lines(rows), "table.md": table + "\n", RESULTS: as_json(contents)}
    write_files(folder, files)
