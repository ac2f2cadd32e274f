"""Numbers that others published, to stand beside ours: never measured here, and always said so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

PREFIX = "superb:"  # they are by Codec-SUPERB's rules, and so its metrics' numbers
FILE = Path(__file__).with_name("published.json")
MARK = "published, not measured here"


def rows() -> list[dict[str, Any]]:
    """A row for each codec: name, kbps, token_rate, splits {split: {metric: value}} and source.

    Missing values are left out. The metrics are Codec-SUPERB's own ("superb:mel", ...).
    """
    document = json.loads(FILE.read_text(encoding="utf-8"))
    made = []
    for row in document["rows"]:
        splits = {
            split: {
                f"{PREFIX}{name}": value for name, value in zip(names, row[split], strict=True) if value is not None
            }
            for split, names in document["columns"].items()
        }
        told = {key: row[key] for key in ("name", "kbps", "token_rate")}
        made.append({**told, "splits": splits, "source": f"{document['source']}. {document['rates']}"})
    return made


def markdown(split: str) -> str | None:
    """The published rows of a split under a title that says what they are; None where there are none."""
    found = [(row, row["splits"][split]) for row in rows() if split in row["splits"]]
    if not found:
        return None
    names = list(dict.fromkeys(name for _, values in found for name in values))
    frame = pd.DataFrame(
        [
            {
                "model": row["name"],
                "kbit/s": "-" if row["kbps"] is None else f"{row['kbps']:.3f}",
                "tokens/s": f"{row['token_rate']:g}",
                **{name: f"{values[name]:.3f}" if name in values else "-" for name in names},
            }
            for row, values in found
        ]
    )
    table = frame.to_markdown(index=False, disable_numparse=True, colalign=["left"] + ["right"] * (frame.shape[1] - 1))
    return "\n".join([f"### {split}: {MARK}", "", table, f"- {found[0][0]['source']}"])
