"""Numbers that others published, to stand beside ours: never measured here, and always said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.harness import published

PREFIX = "superb:"  # they are by Codec-SUPERB's rules, and so its metrics' numbers
FILE = Path(__file__).with_name("published.json")


def rows() -> list[dict[str, Any]]:
    """A row for each codec that upstream lists: name, label, kbps, token_rate, note, splits {split: {metric: value}}
    and source.

    `label` is the name that cannot be taken for one of ours; `note` says what is wrong with a row's numbers, or why it
    has none; None where all is well. Missing values are left out; a rate that is not known is None. The metrics are
    Codec-SUPERB's own ("superb:mel", ...).
    """
    document = published.document(FILE)
    source = f"{document['source']}; {document['repository']}/tree/{document['commit'][:10]}. {document['rates']}"
    listed = []
    for row in document["rows"]:
        splits = {
            split: {f"{PREFIX}{name}": value for name, value in published.by_column(names, row.get(split)).items()}
            for split, names in document["columns"].items()
        }
        note = row.get("note")
        labels = {"label": label(row["name"], note), "note": note}
        rates = {key: row[key] for key in ("kbps", "token_rate")}
        listed.append({"name": row["name"], **labels, **rates, "splits": splits, "source": source})
    return listed


def label(name: str, note: str | None = None) -> str:
    """A published codec's name as tables, pages and plots have it: "dac_16k (published)"; the first word or two of a
    note stand with it: "sqcodec_16k_3kbps (published, broken)"."""
    return f"{name} (published, {note.split(':')[0]})" if note else f"{name} (published)"


def markdown(split: str) -> str | None:
    """The published rows of a split under a title that says what they are; None where there are none."""
    of_split = [(row, row["splits"][split]) for row in rows() if split in row["splits"]]
    if not of_split:
        return None
    names = list(dict.fromkeys(name for _, values in of_split for name in values))
    cells = [
        {
            "published model": row["label"],
            "kbit/s": "-" if row["kbps"] is None else f"{row['kbps']:.3f}",
            "tokens/s": "-" if row["token_rate"] is None else f"{row['token_rate']:g}",
            **{name: f"{values[name]:.3f}" if name in values else "-" for name in names},
        }
        for row, values in of_split
    ]
    by_note = published.by_text((row["note"], row["name"]) for row, _ in of_split if row["note"])
    notes = [f"{note} ({', '.join(of)})" for note, of in by_note.items()]
    return published.section(split, cells, [*notes, of_split[0][0]["source"]])
