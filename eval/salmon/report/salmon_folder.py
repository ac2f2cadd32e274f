"""A run folder as the report reads it: results.json, pairs.jsonl and the sample files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.reconstruction.report.reconstruction_folder import ReportError, inside, read_json, read_text

SCHEMA = "soundcodec-llmcodec/salmon"
SCHEMA_VERSION = 1
REQUIRED = ("created", "suite", "parts", "models", "normalize")
COLUMNS = ("model", "part", "pair_id", "difference", "failure")
HOLDS = "results.json and pairs.jsonl"

Figures = dict[str, Any]


@dataclass(frozen=True)
class SalmonFolder:
    """results.json in whole, and the rows of pairs.jsonl by (model, part, pair id)."""

    path: Path
    results: Figures
    pairs: dict[tuple[str, str, str], Figures]

    def sample(self, name: str) -> Path | None:
        """The sample file of this name within the folder; None where there is none."""
        return inside(self.path, name)

    def differences(self, model: str, part: str, how: str) -> Iterator[float]:
        """The score differences of a model's pairs of a part that have one."""
        for (of_model, of_part, _), row in self.pairs.items():
            if (of_model, of_part) == (model, part) and row["difference"][how] is not None:
                yield float(row["difference"][how])


def read(path: Path) -> SalmonFolder:
    """Read a run folder. Raises ReportError."""
    if not path.is_dir():
        raise ReportError(f"{path} is no folder; expected one that salmon.py --output wrote")
    where = path / "results.json"
    results = read_json(read_text(where, HOLDS), str(where))
    schema = results.get("schema"), results.get("schema_version")
    if schema != (SCHEMA, SCHEMA_VERSION):
        raise ReportError(
            f"{where}: found schema {schema[0]!r} version {schema[1]!r}, expected {SCHEMA!r} version {SCHEMA_VERSION}; "
            "make the run again with this version, or the report with the version that made the run"
        )
    missing = [key for key in REQUIRED if key not in results]
    if missing:
        raise ReportError(f"{where} has no {missing}, which schema version {SCHEMA_VERSION} requires")
    pairs = {}
    name = path / "pairs.jsonl"
    # Not splitlines, which also splits where an id holds one of Unicode's other separators.
    for number, line in enumerate(read_text(name, HOLDS).split("\n"), start=1):
        if not line:
            continue
        row = read_json(line, f"{name}, line {number}")
        missing = [key for key in COLUMNS if key not in row]
        if missing:
            raise ReportError(f"{name}, line {number}, has no {missing}; it is not of schema version {SCHEMA_VERSION}")
        pairs[row["model"], row["part"], row["pair_id"]] = row
    return SalmonFolder(path, results, pairs)
