"""A run's records: `log.jsonl`, one JSON object a line for everything that happened, and `metrics.csv`, its numbers.

A row of the log has `event` ("step", "validation", ...) and `step`. `metrics.csv` is a view of the log's step rows,
made anew from the log when a run goes on. Numbers that are not finite stand as "nan", "inf" and "-inf": valid JSON.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soundcodec_llmcodec.files import written_whole

LOG, METRICS = "log.jsonl", "metrics.csv"
STEP, VALIDATION = "step", "validation"
LEADING = (STEP, "seconds_per_step")
LOSS, GRADIENT, RATE, TOKENS, WATCHED = "loss", "gradient", "learning_rate", "tokens", "watched"
# Values without a section in their name that are no losses, by how they begin or end.
_TOKENS = ("codes_", "code_", "revived")
_WATCHED = ("_accuracy", "_agreement", "_bits", "_temperature", "skipped")


class RecordsError(ValueError):
    """Records of a run that are missing or damaged."""


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's log, oldest first; a last line that a kill tore is left out.

    Raises RecordsError where there is no log, or where a line other than the last is damaged.
    """
    path = folder / LOG
    if not path.is_file():
        raise RecordsError(f"{folder} is no folder of a run: it has no {LOG}")
    return _rows(path)


def number(value: Any) -> float | None:
    """A row's value as a float ("nan", "inf" and "-inf" included); None for what is no number."""
    if value in ("nan", "inf", "-inf"):
        return float(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def section_of(name: str) -> tuple[str, str]:
    """(section, rest) of a value's name: "gradient/codec" is ("gradient", "codec"), "mel" is ("loss", "mel")."""
    section, separator, rest = name.partition("/")
    if separator:
        return section, rest
    for family in (GRADIENT, RATE):
        if name == family or name.startswith(f"{family}_"):
            return family, name[len(family) + 1 :] or "all"
    if name.startswith(_TOKENS):
        return TOKENS, name
    return (WATCHED if name.endswith(_WATCHED) else LOSS), name


class Records:
    """The records in a run's folder, open for more rows.

    What lies beyond `step` is dropped: a killed run wrote it after its last checkpoint, and its steps come again.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        """Raises RecordsError for a damaged log."""
        self.log, self.metrics = folder / LOG, folder / METRICS
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for row in _rows(self.log) if row[STEP] <= step] if self.log.is_file() else []
        with written_whole(self.log) as path:
            path.write_text("".join(map(_line, rows)), encoding="utf-8")
        self._last = {row["event"]: row for row in rows}
        self._columns = self._write_metrics(rows)

    def last(self, event: str) -> Mapping[str, Any] | None:
        """The newest row of an event."""
        return self._last.get(event)

    def add(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        """Append a row; one of the event "step" goes to `metrics.csv` too. Raises ValueError for a reserved name."""
        reserved = {"event", STEP} & set(values)
        if reserved:
            raise ValueError(f"a value cannot have the name {min(reserved)!r}: every row has its own")
        line = _line({"event": event, STEP: int(step), **values})
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line)
        row = self._last[event] = json.loads(line)
        if event != STEP:
            return
        if set(_metrics(row)) - set(self._columns):
            self._columns = self._write_metrics(_rows(self.log))
            return
        with self.metrics.open("a", encoding="utf-8", newline="") as table:
            table.write(_csv([_metrics(row)], self._columns))

    def _write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Write `metrics.csv` whole from the log's rows; returns its columns."""
        steps = [_metrics(row) for row in rows if row["event"] == STEP]
        columns = [*LEADING, *sorted({name for row in steps for name in row} - set(LEADING))]
        header = dict(zip(columns, columns, strict=True))
        with written_whole(self.metrics) as path, path.open("w", encoding="utf-8", newline="") as table:
            table.write(_csv([header, *steps], columns))
        return columns


def _rows(path: Path) -> list[dict[str, Any]]:
    *lines, torn = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows = []
    for index, line in enumerate([*lines, torn] if torn else lines):
        try:
            row = json.loads(line)
            if not (isinstance(row["event"], str) and isinstance(row[STEP], int)):
                raise ValueError("event or step is of another kind")
        except (ValueError, KeyError, TypeError) as error:
            if index == len(lines):
                break
            raise RecordsError(
                f"{path}, line {index + 1}, is no row of a run's log ({error!r}): mend or remove that line"
            ) from error
        rows.append(row)
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(_finite(row), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """The same with floats that JSON has no word for as text, and numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value


def _metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "event"}


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Lines of `metrics.csv`; a cell is empty where a row has no such value."""
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()
