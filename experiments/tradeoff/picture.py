"""The curves: bits a second that a fresh language model needs, against what the codec does to the sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.tradeoff.collect import HIGHER_IS_BETTER, MeasuredRow, draws, interval, mean, paired, rate
from experiments.tradeoff.groups import Group
from soundcodec_llmcodec.files import written_whole

# The first seven are distinct on white also for most colour-blind eyes, the others by their markers too; controls are
# black and grey.
COLOURS = (
    *("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#9c755f"),
    *("#7f3c8d", "#e73f74", "#80ba5a", "#a01a1a", "#3d5a80"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h")
CONTROL_COLOURS = ("#000000", "#8a8a8a")
TITLES = {"mel": "mel distance", "pesq": "PESQ (wide band)", "stoi": "STOI", "wer": "word error rate"}


def draw(groups: Sequence[Group], metrics: Sequence[str], path: Path) -> Path:
    """One panel a metric: a point a row, with 95% intervals of its differences from its baseline, and a line a family.

    The second line of panels is a closer look at the rows near the first baseline, which the first leaves without
    labels. Clips differ far more from each other than rows do: intervals of the rows themselves would tell nothing.
    Further left is better in every panel, and so is further down where the metric is a distance.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, len(metrics), figsize=(5.2 * len(metrics), 10.4), squeeze=False)
    styles = _styles(groups)
    for column, metric in enumerate(metrics):
        points = [(family, _points(rows, base, metric)) for family, rows, base in _families(groups, metric)]
        near = _window(groups[0], metric, [point for _, points_of_family in points for point in points_of_family])
        for panel, closer in ((panels[0][column], False), (panels[1][column], True)):
            for family, points_of_family in points:
                _line(panel, points_of_family, family, styles[family])
                for point in points_of_family:
                    if near.holds(point) == closer:
                        _label(panel, point, styles[family][0])
            better = "higher" if metric in HIGHER_IS_BETTER else "lower"
            panel.set_xlabel("bits a second under a fresh language model (fewer are better)")
            panel.set_ylabel(f"{TITLES.get(metric, metric)} ({better} is better)")
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
        panels[1][column].set_xlim(*near.rates)
        panels[1][column].set_ylim(*near.values)
        panels[1][column].set_title("closer, around the base", fontsize=10)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)), frameon=False, fontsize=9)
    clips = len(groups[0].base.clip_ids)
    figure.suptitle(f"Predictability against distortion, {clips} unseen clips; bars: 95% of differences from the base")
    below = 0.04 + 0.02 * -(-len(labels) // 6)
    figure.tight_layout(rect=(0, below, 1, 1))
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=100, format="png")
    pyplot.close(figure)
    return path


@dataclass(frozen=True)
class _Point:
    """A row's place, the bars on its sides (low, high) in bits a second and in the metric, and what stands beside."""

    rate: float
    value: float
    rate_bars: tuple[float, float]
    value_bars: tuple[float, float]
    text: str


@dataclass(frozen=True)
class _Window:
    """A rectangle: bits a second and values of the metric, each from and to."""

    rates: tuple[float, float]
    values: tuple[float, float]

    def holds(self, point: _Point) -> bool:
        """Whether a point lies in it."""
        inside = self.rates[0] <= point.rate <= self.rates[1]
        return inside and self.values[0] <= point.value <= self.values[1]


def _window(group: Group, metric: str, points: Sequence[_Point]) -> _Window:
    """What lies within some percent of the baseline's bits, and as far up and down as most of those rows reach."""
    times = draws(len(group.base.clip_ids))
    base, value = float(rate(group.base, times)[0]), float(mean(group.base, metric, times)[0])
    rates = (0.9 * base, 1.04 * base)
    off = [abs(point.value - value) for point in points if rates[0] <= point.rate <= rates[1]]
    reach = 1.3 * max(float(np.quantile(off, 0.85)), 0.005 * abs(value))
    return _Window(rates, (value - reach, value + reach))


def _families(groups: Sequence[Group], metric: str) -> Iterator[tuple[str, list[MeasuredRow], MeasuredRow]]:
    """Each family with its rows that have the metric and their baseline."""
    for group in groups:
        for family in dict.fromkeys(result.row.family for result in group.rows):
            members = [result for result in group.rows if result.row.family == family and metric in result.scores]
            if members and metric in group.base.scores:
                yield family, members, group.base


def _styles(groups: Sequence[Group]) -> dict[str, tuple[str, str, str]]:
    """Colour, marker and line by family: controls dashed, black and grey, the others each in its own way."""
    controls = [group.control for group in groups]
    families = dict.fromkeys(
        result.row.family for group in groups for result in group.rows if result.row.family not in controls
    )
    dashed = {name: (CONTROL_COLOURS[i % len(CONTROL_COLOURS)], "o", "--") for i, name in enumerate(controls)}
    return dashed | {
        family: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], "-") for i, family in enumerate(families)
    }


def _points(rows: Sequence[MeasuredRow], base: MeasuredRow, metric: str) -> list[_Point]:
    """The rows' places, by rising bits."""
    times = draws(len(base.clip_ids))
    points = []
    for row in sorted(rows, key=lambda row: float(rate(row, times)[0])):
        rates, values = rate(row, times), mean(row, metric, times)
        bars = []
        for span in (interval(rates - rate(base, times)), interval(paired(row, base, metric, times))):
            bars.append((max(0.0, span.value - span.low), max(0.0, span.high - span.value)))
        points.append(
            _Point(float(rates[0]), float(values[0]), bars[0], bars[1], row.row.title or f"{row.row.strength:g}")
        )
    return points


def _line(panel: Any, points: Sequence[_Point], family: str, style: tuple[str, str, str]) -> None:
    colour, marker, line = style
    panel.errorbar(
        [point.rate for point in points],
        [point.value for point in points],
        xerr=np.transpose([point.rate_bars for point in points]),
        yerr=np.transpose([point.value_bars for point in points]),
        color=colour,
        marker=marker,
        linestyle=line,
        markersize=6,
        linewidth=1.4,
        elinewidth=1.0,
        label=family,
    )


def _label(panel: Any, point: _Point, colour: str) -> None:
    place = (point.rate, point.value)
    panel.annotate(point.text, place, xytext=(6, 5), textcoords="offset points", fontsize=8, color=colour)
