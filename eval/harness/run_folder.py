"""A run folder as reports read it: results.json, the rows beside it and the sample files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.harness.schema import RESULTS, ResultsSchema

Row = dict[str, Any]


class ReportError(ValueError):
    """A run folder of which no report can be made: absent, unreadable, or of another schema."""


@dataclass(frozen=True)
class RunFolder:
    """results.json in whole, and the rows by their keys, such as (model, split, clip id)."""

    path: Path
    results: dict[str, Any]
    rows: dict[tuple[str, ...], Row]

    def sample(self, name: str) -> Path | None:
        """The sample file of this name within the folder; None where there is none."""
        path = (self.path / name).resolve()
        return path if path.is_relative_to(self.path.resolve()) and path.is_file() else None


def schema_of(path: Path, schemas: Iterable[ResultsSchema]) -> ResultsSchema:
    """Which of the schemas a folder's results have. Raises ReportError for none of them."""
    schemas = list(schemas)
    if not path.is_dir():
        programs = " or ".join(schema.program for schema in schemas)
        raise ReportError(f"{path} is no folder; expected one that {programs} --output wrote")
    where = path / RESULTS
    holds = f"{RESULTS} and {' or '.join(schema.rows_file for schema in schemas)}"
    results = _as_object(_text(where, holds), str(where))
    name, version = results.get("schema"), results.get("schema_version")
    for schema in schemas:
        if (name, version) == (schema.name, schema.version):
            return schema
    # Of another version of a schema of ours, only that one's number helps.
    expected = [schema for schema in schemas if schema.name == name] or schemas
    raise ReportError(
        f"{where}: found schema {name!r} version {version!r}, expected "
        f"{' or '.join(f'{schema.name!r} version {schema.version}' for schema in expected)}; "
        "make the run again with this version, or the report with the version that made the run"
    )


def read(path: Path, schema: ResultsSchema) -> RunFolder:
    """Read a run folder of a schema. Raises ReportError."""
    schema_of(path, [schema])
    where = path / RESULTS
    holds = f"{RESULTS} and {schema.rows_file}"
    results = _as_object(_text(where, holds), str(where))
    missing = [key for key in schema.required if key not in results]
    if missing:
        raise ReportError(f"{where} has no {missing}, which schema version {schema.version} requires")
    rows = {}
    name = path / schema.rows_file
    # Not splitlines, which also splits where an id holds one of Unicode's other separators.
    for number, line in enumerate(_text(name, holds).split("\n"), start=1):
        if not line:
            continue
        row = _as_object(line, f"{name}, line {number}")
        missing = [key for key in (*schema.row_keys, *schema.row_columns) if key not in row]
        if missing:
            raise ReportError(f"{name}, line {number}, has no {missing}; it is not of schema version {schema.version}")
        rows[tuple(row[key] for key in schema.row_keys)] = row
    return RunFolder(path, results, rows)


def _text(path: Path, holds: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReportError(f"{path} is missing; a run folder holds {holds}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"cannot read {path}: {error}") from error


def _as_object(text: str, where: str) -> Row:
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise ReportError(f"{where} is no JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise ReportError(f"{where}: expected a JSON object, got {type(loaded).__name__}")
    return loaded
