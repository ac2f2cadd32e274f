"""A run folder as the report reads it: results.json, clips.jsonl and the sample files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = "soundcodec-llmcodec/superb-tiny"
SCHEMA_VERSION = 2
REQUIRED = ("created", "dataset", "metrics", "models", "splits")


class ReportError(ValueError):
    """A run folder of which no report can be made: absent, unreadable, or of another schema."""


@dataclass(frozen=True)
class ReconstructionFolder:
    """results.json in whole, and the rows of clips.jsonl by (model, split, clip id)."""

    path: Path
    results: dict[str, Any]
    clips: dict[tuple[str, str, str], dict[str, Any]]

    def sample(self, name: str) -> Path | None:
        """The sample file of this name within the folder; None where there is none."""
        return inside(self.path, name)


def inside(folder: Path, name: str) -> Path | None:
    """The file of this name within the folder; None where there is none."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def read(path: Path) -> ReconstructionFolder:
    """Read a run folder. Raises ReportError."""
    if not path.is_dir():
        raise ReportError(f"{path} is no folder; expected one that superb_tiny.py --output wrote")
    results = read_json(read_text(path / "results.json"), str(path / "results.json"))
    _check(results, path / "results.json")
    clips = {}
    name = path / "clips.jsonl"
    # Not splitlines, which also splits where an id holds one of Unicode's other separators.
    for number, line in enumerate(read_text(name).split("\n"), start=1):
        if not line:
            continue
        row = read_json(line, f"{name}, line {number}")
        missing = [key for key in ("model", "split", "clip_id", "scores") if key not in row]
        if missing:
            raise ReportError(f"{name}, line {number}, has no {missing}; it is not of schema version {SCHEMA_VERSION}")
        clips[row["model"], row["split"], row["clip_id"]] = row
    return ReconstructionFolder(path, results, clips)


def _check(results: dict[str, Any], where: Path) -> None:
    schema = results.get("schema"), results.get("schema_version")
    if schema != (SCHEMA, SCHEMA_VERSION):
        raise ReportError(
            f"{where}: found schema {schema[0]!r} version {schema[1]!r}, expected {SCHEMA!r} version {SCHEMA_VERSION}; "
            "make the run again with this version, or the report with the version that made the run"
        )
    missing = [key for key in REQUIRED if key not in results]
    if missing:
        raise ReportError(f"{where} has no {missing}, which schema version {SCHEMA_VERSION} requires")


def read_text(path: Path, holds: str = "results.json and clips.jsonl") -> str:
    """The text of a file of a run folder, which `holds` these. Raises ReportError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReportError(f"{path} is missing; a run folder holds {holds}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"cannot read {path}: {error}") from error


def read_json(text: str, where: str) -> dict[str, Any]:
    """A JSON object. Raises ReportError, which says where it was."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ReportError(f"{where} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ReportError(f"{where}: expected a JSON object, got {type(content).__name__}")
    return content
