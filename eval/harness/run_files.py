"""A run's files: where they may go, and that each is written whole or not at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eval.harness import manifest


def check_without_results(folder: Path, overwrite: bool) -> None:
    """Raise ValueError for a folder with results that are not to be written over."""
    if (folder / "results.json").exists() and not overwrite:
        raise ValueError(f"{folder} holds results already; --overwrite writes there, --output takes another folder")


def check_folder(folder: Path) -> None:
    """Raise OSError where `write` could not write into this folder, or not make it. Nothing is left behind."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"cannot write results to {folder}: {there} is a file; name a folder")
    try:
        # Permissions alone do not tell: a disk may be read-only, and root passes them.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OSError(f"cannot write results to {folder}: {there}: {error.strerror or error}") from error


def as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """JSON lines. Raises ValueError for a number that is not finite."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def as_json(contents: Mapping[str, Any]) -> str:
    """One JSON document. Raises ValueError for a number that is not finite."""
    return json.dumps(contents, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by file name, in this order, into a folder, which is made where it is missing; the run's list of its
    files has them. Raises manifest.ForeignFileError where somebody else's file has such a name."""
    for name, content in files.items():
        with manifest.written(folder, name) as path:
            path.write_text(content, encoding="utf-8")
