"""Accuracies on SALMon that others published, to stand beside ours: never measured here, and always said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.harness import published
from eval.salmon.salmon_table import title

FILE = Path(__file__).with_name("published.json")


def rows() -> list[dict[str, Any]]:
    """A row for each model: name, suite, source, and `values` {part or "average": accuracy in %}; missing ones are left
    out."""
    document = published.document(FILE)
    return [
        {
            "name": row["name"],
            "suite": document["suite"],
            "source": document["sources"][row["source"]],
            "values": published.by_column(document["columns"], row["values"]),
        }
        for row in document["rows"]
    ]


def markdown() -> str:
    """The published rows under a title that says what they are."""
    listed = rows()
    parts: list[str] = published.document(FILE)["columns"]
    cells = [
        {
            "published model": f"{row['name']} (published)",
            **{title(part): f"{row['values'][part]:.1f}" if part in row["values"] else "-" for part in parts},
        }
        for row in listed
    ]
    by_source = published.by_text((row["source"], row["name"]) for row in listed)
    notes = [f"{', '.join(names)}: {source}" for source, names in by_source.items()]
    return published.section(listed[0]["suite"], cells, notes)
