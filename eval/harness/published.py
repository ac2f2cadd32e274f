"""Numbers that others published, to stand beside ours: never measured here, and always said so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

MARK = "published, not measured here"


def document(file: Path) -> dict[str, Any]:
    """A file of published numbers: column names, rows of values in their order, and where they are from."""
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def by_column(columns: Sequence[str], values: Sequence[Any] | None) -> dict[str, Any]:
    """A row's values by column; missing ones are left out."""
    if values is None:
        return {}
    return {name: value for name, value in zip(columns, values, strict=True) if value is not None}


def by_text(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Names by the text, a note or a source, that goes with each: (text, name)."""
    names: dict[str, list[str]] = {}
    for text, name in pairs:
        names.setdefault(text, []).append(name)
    return names


def section(title: str, cells: Sequence[Mapping[str, str]], notes: Sequence[str]) -> str:
    """Rows as Markdown, under a title that says what they are, and with notes below them."""
    frame = pd.DataFrame(cells)
    alignment = ["left"] + ["right"] * (frame.shape[1] - 1)
    table = frame.to_markdown(index=False, disable_numparse=True, colalign=alignment)
    return "\n".join([f"### {title}: {MARK}", "", table, *(f"- {note}" for note in notes)])
