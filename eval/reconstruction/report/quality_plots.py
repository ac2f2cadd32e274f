"""Quality against bit rate: a small SVG for each metric of a split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from eval.harness.pages import figures, labels
from eval.harness.pages.scales import linear_ticks, log_ticks
from eval.reconstruction.report.codec_table import BOUND, ORIGINALS
from soundcodec_llmcodec.pages.markup import Markup, tag

WIDTH, HEIGHT = 440, 330
FRAME = labels.Box(46, 10, WIDTH - 8, HEIGHT - 38)
FONT = 11.0
LONGEST_LABEL = 22
# A bound this many times farther away than the codecs spread would press them together; it is named at the edge.
FARTHEST_BOUND = 1.0
FEW_POINTS = 3
NARROWEST_RATIO = 8.0

Figures = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """A codec on a plot: kbit/s, and a mean with its interval, if it has one."""

    name: str
    kbps: float
    mean: float
    low: float
    high: float
    class_: str


@dataclass(frozen=True)
class Axes:
    """What the plot shows: kbit/s from `x` on a log scale, values from `y`."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, kbps: float) -> float:
        """The horizontal place of a bit rate."""
        share = math.log(kbps / self.x[0]) / math.log(self.x[1] / self.x[0])
        return FRAME.left + share * (FRAME.right - FRAME.left)

    def down(self, value: float) -> float:
        """The vertical place of a value."""
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return FRAME.bottom - share * (FRAME.bottom - FRAME.top)


def plot(results: Figures, split: str, metric: str) -> Markup:
    """One figure; says so in words where no codec has both a bit rate and a mean."""
    definition = results["metrics"][metric]
    measured, left_out = _measured(results, split, metric)
    points = [*measured, *_published(results, split, metric)]
    title = f"{metric} [{definition['unit']}]"
    better = f"{figures.ARROWS[definition['direction']]} {figures.BETTER[definition['direction']]}"
    heading = tag("figcaption", tag("strong", title), " ", tag("span", better, class_="muted"))
    notes = []
    if left_out:
        notes.append(tag("p", f"Without a place here: {'; '.join(left_out)}.", class_="muted small"))
    if not points:
        return tag("figure", heading, tag("p", "No codec has both a bit rate and a mean."), notes, data_choice=metric)
    bounds = [
        (model["name"], float(mean))
        for model in (*results["models"], *([results["originals"]] if results.get("originals") else []))
        if model["kind"] in (BOUND, ORIGINALS)
        and split in model["splits"]
        and (mean := (model["splits"][split]["metrics"].get(metric) or {}).get("mean")) is not None
    ]
    axes = _axes(points, [value for _, value in bounds])
    lines, taken = _bounds(bounds, axes)
    drawing = tag(
        "svg",
        _grid(axes),
        lines,
        _points(points, axes, taken, definition["unit"]),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{metric} against bit rate on {split}; the numbers are in the table",
    )
    return tag("figure", heading, drawing, notes, data_choice=metric)


def _measured(results: Figures, split: str, metric: str) -> tuple[list[Point], list[str]]:
    points, left_out = [], []
    for model in results["models"]:
        if model["kind"] == BOUND or split not in model["splits"]:
            continue
        figure = model["splits"][split]
        summary = figure["metrics"].get(metric)
        if not figure["bitrate_bps"]:
            left_out.append(f"{model['name']} (no bit rate)")
        elif summary is None or summary["mean"] is None:
            left_out.append(f"{model['name']} (no mean)")
        else:
            mean = summary["mean"]
            low, high = (mean if end is None else end for end in (summary["low"], summary["high"]))
            kind = "point baseline" if model["name"] == results.get("baseline") else "point"
            points.append(Point(model["name"], figure["bitrate_bps"] / 1000, mean, low, high, kind))
    return points, left_out


def _published(results: Figures, split: str, metric: str) -> list[Point]:
    points = []
    for row in results.get("published") or ():
        value = row["splits"].get(split, {}).get(metric)
        if value is not None and row.get("kbps") and not row.get("note"):
            points.append(Point(row.get("label") or row["name"], row["kbps"], value, value, value, "point published"))
    return points


def _axes(points: list[Point], bounds: list[float]) -> Axes:
    rates = [point.kbps for point in points]
    low, high = min(point.low for point in points), max(point.high for point in points)
    spread = (high - low) or abs(high) or 1.0
    reach = FARTHEST_BOUND * spread if len(points) >= FEW_POINTS else math.inf
    near = [value for value in bounds if low - reach <= value <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.08 * ((high - low) or abs(high) or 1.0)
    # Rates that are nearly one would fill an axis with ticks that say nothing.
    beside = max(1.35, math.sqrt(NARROWEST_RATIO * min(rates) / max(rates)))
    return Axes((min(rates) / beside, max(rates) * beside), (low - margin, high + margin))


def _grid(axes: Axes) -> Markup:
    parts = [
        tag(
            "rect",
            x=FRAME.left,
            y=FRAME.top,
            width=FRAME.right - FRAME.left,
            height=FRAME.bottom - FRAME.top,
            class_="frame",
        )
    ]
    for value in linear_ticks(*axes.y):
        y = round(axes.down(value), 1)
        parts.append(tag("line", x1=FRAME.left, x2=FRAME.right, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", f"{value:.6g}".replace("-", "−"), x=FRAME.left - 6, y=y + 4, class_="tick end"))
    for value in log_ticks(*axes.x):
        x = round(axes.across(value), 1)
        parts.append(tag("line", x1=x, x2=x, y1=FRAME.top, y2=FRAME.bottom, class_="grid"))
        parts.append(tag("text", f"{value:g}", x=x, y=FRAME.bottom + 15, class_="tick middle"))
    middle = (FRAME.left + FRAME.right) / 2
    parts.append(tag("text", "kbit/s (log scale)", x=middle, y=FRAME.bottom + 32, class_="tick middle"))
    return Markup("".join(parts))


def _bounds(bounds: list[tuple[str, float]], axes: Axes) -> tuple[Markup, list[labels.Box]]:
    """Horizontal lines with their names, and where the names stand; bounds of one value share a line."""
    by_value: dict[float, list[str]] = {}
    for name, value in bounds:
        by_value.setdefault(round(value, 6), []).append(name)
    parts: list[Markup] = []
    taken: list[labels.Box] = []
    for value, names in sorted(by_value.items()):
        text = ", ".join(names)
        inside = axes.y[0] <= value <= axes.y[1]
        y = axes.down(min(max(value, axes.y[0]), axes.y[1]))
        if inside:
            parts.append(tag("line", x1=FRAME.left, x2=FRAME.right, y1=round(y, 1), y2=round(y, 1), class_="bound"))
        else:
            text = f"{text}: {figures.number(value)}, off the scale {'↑' if value > axes.y[1] else '↓'}"
        high = FONT + 2
        wide = labels.width(text, FONT)
        # Above its line, below it where the frame ends, and clear of other names.
        options = [
            labels.Box(right - wide, top, right, top + high)
            for right in (FRAME.right - 4, FRAME.left + 4 + wide)
            for top in (y - high - 2, y + 3)
        ]
        costs = [sum((box.overlap(other) for other in taken), box.outside(FRAME)) for box in options]
        box = options[costs.index(min(costs))]
        taken.append(box)
        parts.append(tag("text", text, x=round(box.right, 1), y=round(box.bottom - 3, 1), class_="bound end"))
    heights = [axes.down(value) for value in by_value if axes.y[0] <= value <= axes.y[1]]
    return Markup("".join(parts)), [*taken, *(labels.Box(FRAME.left, y - 2, FRAME.right, y + 2) for y in heights)]


def _points(points: list[Point], axes: Axes, taken: list[labels.Box], unit: str) -> Markup:
    placed = [(axes.across(point.kbps), axes.down(point.mean)) for point in points]
    bars = [
        labels.Box(x - 1, axes.down(point.high), x + 1, axes.down(point.low))
        for (x, _), point in zip(placed, points, strict=True)
    ]
    texts = [(x, y, labels.shorten(point.name, LONGEST_LABEL)) for (x, y), point in zip(placed, points, strict=True)]
    names = labels.place(texts, FRAME, [*taken, *bars], FONT)
    parts = []
    for (x, y), bar, label, point in zip(placed, bars, names, points, strict=True):
        box = label.box
        leader = None
        if label.is_far:
            end_x, end_y = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
            leader = tag(
                "line", x1=round(x, 1), y1=round(y, 1), x2=round(end_x, 1), y2=round(end_y, 1), class_="leader"
            )
        error = tag(
            "line", x1=round(x, 1), x2=round(x, 1), y1=round(bar.top, 1), y2=round(bar.bottom, 1), class_="error"
        )
        caption = f"{point.name}: {figures.number(point.mean)} {unit} at {figures.number(point.kbps)} kbit/s"
        caption += "" if point.low == point.high else f", 95% interval {figures.interval(point.low, point.high)}"
        parts.append(
            tag(
                "g",
                tag("title", caption),
                leader,
                None if point.low == point.high else error,
                tag("circle", cx=round(x, 1), cy=round(y, 1), r=4),
                tag("text", label.text, x=round(box.left, 1), y=round(box.bottom - 3, 1)),
                class_=point.class_,
                data_model=point.name,
            )
        )
    return Markup("".join(parts))
