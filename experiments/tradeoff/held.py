"""Tables of how far rows lie under the control curve: at equal distortion of several kinds, and with other seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.tradeoff.collect import CAPPED, OUTSIDE, MeasuredRow
from experiments.tradeoff.groups import Group
from experiments.tradeoff.short_table import CURVES, under

HELD = (*CURVES, CAPPED, "speaker_sim")


def held_tables(groups: Sequence[Group], times: np.ndarray) -> list[str]:
    """By how many percent fewer bits than the control curve each row needs, at its own mel, PESQ and so on; then, where
    the baseline was trained with other seeds too, at its mel on curves that begin with each of these."""
    compared = [(group, [result for result in group.rows if group.is_comparable(result, "mel")]) for group in groups]
    if not any(rows for _, rows in compared):
        return []
    lines = ["Bits a second under the control curve, at equal:", "", *_at_equal(compared, times)]
    for group, rows in compared:
        seeds = [result for result in group.seeds() if "mel" in result.scores]
        if seeds:
            lines += ["", "At equal mel, with the baseline of another seed as the control curve's first point:", ""]
            lines += _by_seed(group, rows, seeds, times)
    note = f"{OUTSIDE}: better than the best control, or worse than the last one, which are at other distortions."
    return [*lines, "", note] if any(OUTSIDE in line for line in lines) else lines


def _at_equal(compared: Sequence[tuple[Group, list[MeasuredRow]]], times: np.ndarray) -> list[str]:
    names = [
        name for name in HELD if any(group.is_comparable(result, name) for group, rows in compared for result in rows)
    ]
    lines = _head(names)
    for group, rows in compared:
        for result in rows:
            cells = [under(result, group, name, times) for name in names]
            lines.append("| " + " | ".join((result.row.shown, *cells)) + " |")
    return lines


def _by_seed(group: Group, rows: Sequence[MeasuredRow], seeds: Sequence[MeasuredRow], times: np.ndarray) -> list[str]:
    bases = [group.base, *seeds]
    lines = _head([base.row.name for base in bases])
    for result in rows:
        if result not in seeds:
            cells = [under(result, group, "mel", times, base) for base in bases]
            lines.append("| " + " | ".join((result.row.shown, *cells)) + " |")
    return lines


def _head(names: Sequence[str]) -> list[str]:
    return ["| row | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
