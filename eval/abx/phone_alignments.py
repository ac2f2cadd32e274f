"""Where which phone is said: read from a file of one's own, and written for another run."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eval.harness.table_files import csv_text

COLUMNS = ("clip_id", "start", "end", "phone", "speaker")
# What alignments call a pause.
SILENCES = frozenset({"", "SIL", "sil", "sp", "spn", "<eps>"})


class AbxError(ValueError):
    """Clips, alignments or items that cannot be measured, with what came and what was expected."""


@dataclass(frozen=True)
class AlignedPhone:
    """A phone of a clip from `start` to `end` in seconds; `speaker` is None where the data set tells who speaks."""

    clip_id: str
    start: float
    end: float
    phone: str
    speaker: str | None = None


def read_alignments(path: Path) -> list[AlignedPhone]:
    """The phones of a CSV file with the COLUMNS (speaker may be left out), pauses apart. Raises AbxError."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        missing = sorted(set(COLUMNS) - {"speaker"} - set(rows.fieldnames or ()))
        if missing:
            raise AbxError(f"{path} lacks the columns {missing}; it has {rows.fieldnames}, expected {list(COLUMNS)}")
        phones = [_aligned(row, f"{path} line {rows.line_num}") for row in rows]
    return [phone for phone in phones if phone.phone not in SILENCES]


def alignments_csv(phones: Iterable[AlignedPhone]) -> str:
    """Phones as `read_alignments` reads them."""
    return csv_text(
        {
            "clip_id": phone.clip_id,
            "start": f"{phone.start:.4f}",
            "end": f"{phone.end:.4f}",
            "phone": phone.phone,
            "speaker": phone.speaker or "",
        }
        for phone in phones
    )


def _aligned(row: dict[str, str], where: str) -> AlignedPhone:
    try:
        start, end = float(row["start"]), float(row["end"])
    except (TypeError, ValueError) as error:
        raise AbxError(f"{where}: expected start and end in seconds, got {row['start']!r}, {row['end']!r}") from error
    if not 0 <= start < end < math.inf:
        raise AbxError(f"{where}: a phone from {start} to {end} s; expected 0 <= start < end")
    return AlignedPhone(row["clip_id"], start, end, (row["phone"] or "").strip(), row.get("speaker") or None)
