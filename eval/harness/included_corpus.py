"""A data set of one's own: rows that a function yields, as splits that the harness streams."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from eval.harness.clips import ClipCorpus
from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from eval.harness.include import Included, form_of
from soundcodec_llmcodec.data import DataError, Split

WHOLE = "all"
_FORM = "(id, audio float (S,), rate in Hz) or (id, audio, rate, text)"


def corpus_of(entry: Included) -> ClipCorpus:
    """The data set. Rows are counted where the function's decorator was told no size. Raises DataError."""
    form = form_of(entry)
    splits = {}
    for split in form.splits or (WHOLE,):
        rows = functools.partial(_rows, entry, split if form.splits else None)
        size = sum(1 for _ in rows()) if form.size is None else form.size
        splits[split] = Split(size, rows)
    return ClipCorpus(entry.name, entry.name, form.synthetic, splits, f"file {entry.digest}")


def _rows(entry: Included, split: str | None) -> Iterator[Mapping[str, Any]]:
    """The function's rows as plain columns."""
    where = f"data set {entry.name!r} of {entry.where}"
    try:
        rows = iter(entry.value() if split is None else entry.value(split))
        for place, row in enumerate(rows):
            yield _columns(row, f"{where}, row {place}")
    except DataError:
        raise
    except FOREIGN_ERRORS as error:
        raise DataError(f"{where} raised {described(error)}") from error


def _columns(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, tuple) or len(row) not in (3, 4):
        raise DataError(f"{where}: expected {_FORM}, got {_what(row)}")
    clip_id, audio, rate, *text = row
    samples = np.asarray(audio)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise DataError(f"{where}: expected audio as floats (S,) within -1..1, got {samples.dtype} {samples.shape}")
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate < 1:
        raise DataError(f"{where}: expected a rate in Hz as a whole number above 0, got {rate!r}")
    columns = {"id": clip_id, "audio": {"array": samples, "sampling_rate": int(rate)}}
    return columns | ({"text": text[0]} if text else {})


def _what(row: Any) -> str:
    return f"a tuple of {len(row)}" if isinstance(row, tuple) else type(row).__name__
