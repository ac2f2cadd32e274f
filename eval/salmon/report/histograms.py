"""How much more likely the coherent recordings are: for each part a figure with a histogram for each model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from eval.harness.pages import labels
from eval.harness.pages.scales import linear_ticks
from eval.harness.run_folder import RunFolder
from eval.salmon.pair_scores import PER_TOKEN
from eval.salmon.report import accuracy_table
from soundcodec_llmcodec.pages.markup import Markup, tag

WIDTH = 440.0
LEFT, RIGHT = 10.0, WIDTH - 10.0
NAME, BARS, GAP, AXIS = 18.0, 48.0, 12.0, 36.0
BINS = 24  # even, so that an edge is at 0
# Beyond this share of all distances, a few large ones would press the rest together.
WITHIN = 0.98
LONGEST_NAME = 34
UNITS = {PER_TOKEN: "nats a token", "sum": "nats"}

Figures = dict[str, Any]


def figure(run: RunFolder, part: str, how: str) -> Markup:
    """The figure of a part; models share the scale of differences, and each has its own scale of counts."""
    about = run.results["parts"][part]
    values = {
        model["name"]: np.array(list(_differences(run, model["name"], part, how)))
        for model in accuracy_table.loaded(run.results)
    }
    heading = tag("figcaption", tag("strong", about["title"]), " ", tag("span", about["about"], class_="muted"))
    everything = np.concatenate([*values.values(), np.zeros(0)])
    if not everything.size:
        return tag("figure", heading, tag("p", "No pair has scores."), data_choice=part)
    reach = _reach(everything)
    rows = [
        _row(model, values[model["name"]], accuracy_table.of(model, how, part), reach, index * (NAME + BARS + GAP))
        for index, model in enumerate(accuracy_table.loaded(run.results))
    ]
    height = len(rows) * (NAME + BARS + GAP)
    drawing = tag(
        "svg",
        _grid(reach, height, UNITS[how]),
        rows,
        viewBox=f"0 0 {WIDTH:g} {height + AXIS:g}",
        role="img",
        aria_label=f"Histograms of score differences in {about['title']}; the counts are in the table",
    )
    beyond = int((np.abs(everything) > reach).sum())
    note = f"The outermost bars hold what is beyond the ends, too: {_pairs(beyond)}." if beyond else None
    return tag("figure", heading, drawing, note and tag("p", note, class_="muted small"), data_choice=part)


def _differences(run: RunFolder, model: str, part: str, how: str) -> Iterator[float]:
    """The score differences of a model's pairs of a part that have one."""
    for (of_model, of_part, _), row in run.rows.items():
        if (of_model, of_part) == (model, part) and row["difference"][how] is not None:
            yield float(row["difference"][how])


def _reach(values: np.ndarray) -> float:
    """Half of the width of the axis: all differences but a few far ones."""
    distances = np.abs(values[values != 0])
    return float(np.quantile(distances, WITHIN)) if distances.size else 1.0


def _across(value: float, reach: float) -> float:
    return LEFT + (value + reach) / (2 * reach) * (RIGHT - LEFT)


def _grid(reach: float, height: float, unit: str) -> Markup:
    parts = []
    for value in linear_ticks(-reach, reach):
        x = round(_across(value, reach), 1)
        parts.append(tag("line", x1=x, x2=x, y1=0, y2=height, class_="zero" if value == 0 else "grid"))
        label = f"{value:+.6g}".replace("-", "−") if value else "0"
        parts.append(tag("text", label, x=x, y=height + 14, class_="tick middle"))
    below = height + 31
    parts.append(tag("text", "← the other one likelier", x=LEFT, y=below, class_="tick"))
    parts.append(tag("text", unit, x=(LEFT + RIGHT) / 2, y=below, class_="tick middle"))
    parts.append(tag("text", "the coherent one likelier →", x=RIGHT, y=below, class_="tick end"))
    return Markup("".join(parts))


def _row(model: Figures, values: np.ndarray, accuracy: Figures, reach: float, top: float) -> Markup:
    n_ties = int((values == 0).sum())
    counts = _counts(values, reach)
    most = max([*counts, n_ties, 1])
    base = top + NAME + BARS
    width = 2 * reach / BINS
    bars = []
    for index, n in enumerate(counts):
        if n:
            low = -reach + index * width
            kind = "right" if index >= BINS // 2 else "wrong"
            caption = f"{_pairs(n)}: {_signed(low)} to {_signed(low + width)}"
            bars.append(_bar(_across(low, reach) + 0.5, (RIGHT - LEFT) / BINS - 1, n / most, base, kind, caption))
    if n_ties:
        bars.append(_bar(_across(0, reach) - 2.5, 5, n_ties / most, base, "tie", f"{_pairs(n_ties)}: tied"))
    summary = _summary(accuracy)
    name = labels.shorten(model["name"], LONGEST_NAME)
    return tag(
        "g",
        tag("title", f"{model['name']}: {summary}"),
        tag("text", name, x=LEFT, y=top + 13, class_="name"),
        tag("text", summary, x=RIGHT, y=top + 13, class_="end"),
        bars,
        tag("line", x1=LEFT, x2=RIGHT, y1=base, y2=base, class_="base"),
        class_="point histogram",
        data_model=model["name"],
    )


def _summary(accuracy: Figures) -> str:
    """The accuracy as the table has it: of the pairs that all models have."""
    if accuracy["accuracy"] is None:
        return "refused"
    right, ties = accuracy["right"], accuracy["ties"]
    tied = f", {ties} tied" if ties else ""
    wrong = accuracy["n"] - right - ties
    return f"{accuracy_table.percent(accuracy['accuracy'])}% · {right} right, {wrong} wrong{tied}"


def _bar(x: float, width: float, share: float, base: float, kind: str, caption: str) -> Markup:
    high = max(1.0, share * (BARS - 4))
    title = tag("title", caption)
    shape = tag(
        "rect", x=round(x, 1), y=round(base - high, 1), width=round(width, 1), height=round(high, 1), class_=kind
    )
    return tag("g", title, shape)


def _counts(values: np.ndarray, reach: float) -> Sequence[int]:
    """How many of the differences, ties left out, are in each bin; what is beyond an end is in the last one."""
    places = np.floor((values[values != 0] + reach) / (2 * reach) * BINS).astype(int)
    # By rounding, a small difference must not change sides.
    signs = values[values != 0] > 0
    places = np.where(signs, np.maximum(places, BINS // 2), np.minimum(places, BINS // 2 - 1))
    counts: list[int] = np.bincount(np.clip(places, 0, BINS - 1), minlength=BINS).tolist()
    return counts


def _pairs(n: int) -> str:
    return f"{n} pair{'' if n == 1 else 's'}"


def _signed(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:+.{min(digits, 6)}f}".replace("-", "−") if value else "0"
