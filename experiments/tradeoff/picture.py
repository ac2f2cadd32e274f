"""The curves: bits a second that a fresh language model needs, against what the codec does to the sound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.tradeoff.collect import HIGHER_IS_BETTER, Measured, draws, interval, mean, rate
from soundcodec_llmcodec.files import written_whole

# Distinct on white also for most colour-blind eyes; the control is black.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#9c755f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
TITLES = {"mel": "mel distance", "pesq": "PESQ (wide band)", "stoi": "STOI", "wer": "word error rate"}


def draw(rows: Sequence[Measured], control: str, metrics: Sequence[str], path: Path) -> Path:
    """One panel a metric: a point a row with its 95% intervals, a line a family in order of its rates.

    Further left is better in every panel, and so is further down where the metric is a distance.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(metrics), figsize=(5.4 * len(metrics), 5.2), squeeze=False)
    times = draws(len(rows[0].clip_ids))
    families = {row.row.family: None for row in rows if row.row.family != control}
    styles = {control: ("#000000", "o")} | {
        family: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, family in enumerate(families)
    }
    for panel, metric in zip(panels[0], metrics, strict=True):
        for family, style in styles.items():
            members = [row for row in rows if row.row.family == family and metric in row.scores]
            _line(panel, family, members, metric, times, style)
        better = "higher" if metric in HIGHER_IS_BETTER else "lower"
        panel.set_xlabel("bits a second under a fresh language model (fewer are better)")
        panel.set_ylabel(f"{TITLES.get(metric, metric)} ({better} is better)")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(frameon=False, fontsize=9)
    figure.suptitle(
        f"Predictability against distortion, {len(rows[0].clip_ids)} unseen clips, 95% intervals over clips"
    )
    figure.tight_layout()
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    pyplot.close(figure)
    return path


def _line(panel: Any, family: str, rows: Sequence[Measured], metric: str, times: Any, style: tuple[str, str]) -> None:
    points = []
    for row in rows:
        rates, values = interval(rate(row, times)), interval(mean(row, metric, times))
        if not math.isnan(values.value):
            points.append((rates, values, row.row.strength))
    points.sort(key=lambda point: point[0].value)
    if not points:
        return
    colour, marker = style
    x, y = [point[0].value for point in points], [point[1].value for point in points]
    errors: Mapping[str, Any] = {
        "xerr": [[p[0].value - p[0].low for p in points], [p[0].high - p[0].value for p in points]],
        "yerr": [[p[1].value - p[1].low for p in points], [p[1].high - p[1].value for p in points]],
    }
    line = "--" if family == "control" else "-"
    panel.errorbar(x, y, **errors, color=colour, marker=marker, markersize=6, linestyle=line, linewidth=1.4,
                   elinewidth=0.6, alpha=0.9, label=family)  # fmt: skip
    for (rates, values, strength), offset in zip(points, [(6, 5)] * len(points), strict=True):
        panel.annotate(f"{strength:g}", (rates.value, values.value), xytext=offset, textcoords="offset points",
                       fontsize=8, color=colour)  # fmt: skip
