"""The short table: every row's bits a second, how far they lie under the control curve, and what the sound is like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.tradeoff.collect import HIGHER_IS_BETTER, MeasuredRow, draws, interval, mean, outside, rate
from experiments.tradeoff.groups import Group
from experiments.tradeoff.interval_text import plain, signed
from experiments.tradeoff.tradeoff_rows import ExperimentError
from soundcodec_llmcodec.files import written_whole

BEGIN, END = "<!-- rows -->", "<!-- /rows -->"
CURVES = ("mel", "pesq", "stoi")


def summary(groups: Sequence[Group]) -> list[str]:
    """The table's lines, a row a measured codec; those whose experiment has a control curve are held against it."""
    times = draws(len(groups[0].base.clip_ids))
    metrics = [name for name in CURVES if name in groups[0].base.scores]
    heads = [f"{name} {'↑' if name in HIGHER_IS_BETTER else '↓'}" for name in metrics]
    unders = [f"under control at equal {name}" for name in metrics]
    heads = ["row", "codes used", "bits/s", "against base", *unders, *heads]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for group in groups:
        for result in group.rows:
            lines.append("| " + " | ".join(_cells(result, group, metrics, times)) + " |")
    return lines


def fill(path: Path, lines: Sequence[str]) -> None:
    """Write the lines between the marks that a text has for them. Raises ExperimentError where it has none."""
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ExperimentError(f"{path} should hold one {BEGIN} and, after it, one {END}, for the table between them")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    with written_whole(path) as partial:
        partial.write_text(before + "\n".join((BEGIN, *lines, after)), encoding="utf-8")


def _cells(result: MeasuredRow, group: Group, metrics: Sequence[str], times: np.ndarray) -> list[str]:
    bits = interval(rate(result, times))
    against = interval(100 * (rate(result, times) / rate(group.base_of(result), times) - 1))
    return [
        result.row.shown,
        f"{result.facts['codes_used']:,}",
        f"{bits.value:.0f} [{bits.low:.0f}, {bits.high:.0f}]",
        "" if result is group.base else signed(against, "%"),
        *(under(result, group, name, times) for name in metrics),
        *(f"{mean(result, name, times)[0]:.3f}" if name in result.scores else "" for name in metrics),
    ]


def under(result: MeasuredRow, group: Group, metric: str, times: np.ndarray, base: MeasuredRow | None = None) -> str:
    """How far a row lies under its control curve at equal distortion, or why that is not known; "" where it is not
    to be held against one. `base` is the curve's first point in place of the row's own baseline."""
    if not group.is_comparable(result, metric):
        return ""
    share = group.under_control(result, metric, times, base)
    return outside(share) or plain(interval(share), "%")
