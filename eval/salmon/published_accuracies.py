"""Accuracies on SALMon that others published, to stand beside ours: never measured here, and always said so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from eval.salmon.salmon_table import title

FILE = Path(__file__).with_name("published.json")
MARK = "published, not measured here"


def rows() -> list[dict[str, Any]]:
    """A row for each model: name, suite, source, and `values` {part or "average": accuracy in %}; missing ones are left
    out."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    made = []
    for row in document["rows"]:
        values = dict(zip(document["columns"], row["values"], strict=True))
        made.append(
            {
                "name": row["name"],
                "suite": document["suite"],
                "source": document["sources"][row["source"]],
                "values": {part: value for part, value in values.items() if value is not None},
            }
        )
    return made


def markdown() -> str:
    """The published rows under a title that says what they are."""
    found = rows()
    parts: list[str] = json.loads(FILE.read_text(encoding="utf-8"))["columns"]
    cells = [
        {
            "published model": f"{row['name']} (published)",
            **{title(part): f"{row['values'][part]:.1f}" if part in row["values"] else "-" for part in parts},
        }
        for row in found
    ]
    frame = pd.DataFrame(cells)
    alignment = ["left"] + ["right"] * (frame.shape[1] - 1)
    table = frame.to_markdown(index=False, disable_numparse=True, colalign=alignment)
    by_source: dict[str, list[str]] = {}
    for row in found:
        by_source.setdefault(row["source"], []).append(row["name"])
    notes = [f"- {', '.join(names)}: {source}" for source, names in by_source.items()]
    return "\n".join([f"### {found[0]['suite']}: {MARK}", "", table, *notes])
