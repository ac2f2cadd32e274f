"""The curves: bits a second that a fresh language model needs, against what the codec does to the sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.tradeoff.collect import HIGHER_IS_BETTER, Measured, draws, interval, mean, paired, rate
from experiments.tradeoff.groups import Group
from soundcodec_llmcodec.files import written_whole

# Distinct on white also for most colour-blind eyes; controls are black and grey.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#9c755f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h")
CONTROL_COLOURS = ("#000000", "#8a8a8a")
TITLES = {"mel": "mel distance", "pesq": "PESQ (wide band)", "stoi": "STOI", "wer": "word error rate"}


def draw(groups: Sequence[Group], metrics: Sequence[str], path: Path) -> Path:
    """One panel a metric: a point a row, with 95% intervals of its differences from its baseline, and a line a family.

    Clips differ far more from each other than rows do: intervals of the rows themselves would tell nothing. Further
    left is better in every panel, and so is further down where the metric is a distance.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(metrics), figsize=(5.4 * len(metrics), 5.2), squeeze=False)
    styles = _styles(groups)
    for panel, metric in zip(panels[0], metrics, strict=True):
        for group in groups:
            for family in dict.fromkeys(one.row.family for one in group.rows):
                members = [one for one in group.rows if one.row.family == family and metric in one.scores]
                _line(panel, members, group.base, metric, family, styles[family])
        better = "higher" if metric in HIGHER_IS_BETTER else "lower"
        panel.set_xlabel("bits a second under a fresh language model (fewer are better)")
        panel.set_ylabel(f"{TITLES.get(metric, metric)} ({better} is better)")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(frameon=False, fontsize=9)
    clips = len(groups[0].base.clip_ids)
    figure.suptitle(f"Predictability against distortion, {clips} unseen clips; bars: 95% of differences from the base")
    figure.tight_layout()
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    pyplot.close(figure)
    return path


def _styles(groups: Sequence[Group]) -> dict[str, tuple[str, str, str]]:
    """Colour, marker and line by family: controls dashed, black and grey, the others each in its own way."""
    controls = [group.control for group in groups]
    families = dict.fromkeys(one.row.family for group in groups for one in group.rows if one.row.family not in controls)
    dashed = {name: (CONTROL_COLOURS[i % len(CONTROL_COLOURS)], "o", "--") for i, name in enumerate(controls)}
    return dashed | {
        family: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], "-") for i, family in enumerate(families)
    }


def _line(
    panel: Any, rows: Sequence[Measured], base: Measured, metric: str, family: str, style: tuple[str, str, str]
) -> None:
    times = draws(len(base.clip_ids))
    colour, marker, line = style
    points: list[tuple[float, float, str]] = []
    bars: list[np.ndarray] = []
    for row in sorted(rows, key=lambda row: float(rate(row, times)[0])):
        rates, values = rate(row, times), mean(row, metric, times)
        found = [interval(rates - rate(base, times)), interval(paired(row, base, metric, times))]
        points.append((float(rates[0]), float(values[0]), f"{row.row.strength:g}"))
        bars.append(np.array([[one.value - one.low, one.high - one.value] for one in found]))
    if not points:
        return
    x_errors, y_errors = np.transpose(np.stack(bars), (1, 2, 0)).clip(0)
    panel.errorbar(
        [left for left, _, _ in points],
        [height for _, height, _ in points],
        xerr=x_errors,
        yerr=y_errors,
        color=colour,
        marker=marker,
        linestyle=line,
        markersize=6,
        linewidth=1.4,
        elinewidth=1.0,
        label=family,
    )
    for left, height, text in points:
        panel.annotate(text, (left, height), xytext=(6, 5), textcoords="offset points", fontsize=8, color=colour)
