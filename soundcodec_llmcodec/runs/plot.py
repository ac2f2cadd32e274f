"""The curves of one or more runs in one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.runs.monitor import value_text
from soundcodec_llmcodec.runs.run_log import (
    GRADIENT,
    LOG,
    LOSS,
    RATE,
    STEP,
    TOKENS,
    VALIDATION,
    WATCHED,
    RecordsError,
    number,
    read_log,
    section_of,
)

ACROSS = 5
# Tableau's colours, distinct on white also for most colour-blind eyes; runs take them in order.
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#9c755f", "#bab0ac")
STYLES: tuple[Any, ...] = ("-", "--", ":")
# Sections in the order in which they are drawn, with their headings; others follow under their own names.
HEADINGS = {
    VALIDATION: "validation",
    LOSS: "losses",
    WATCHED: "watched",
    TOKENS: "tokens of the training batches",
    GRADIENT: "gradient norms",
    RATE: "learning rates",
}
# What validation is drawn of: title, names in one panel (the first in a full line, the next dashed, dotted).
VALIDATED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("mel distance", ("mel",)),
    ("codes in use", ("codes",)),
    ("bits a token", ("bigram_bits", "unigram_bits", "entropy_bits")),
    ("bigram perplexity", ("bigram_perplexity",)),
)
# Validation's other numbers say how it was measured, or are drawn already.
COUNTS = ("n", "tokens", "codebook_size", "unigram_perplexity", "perplexity", "seconds")
# Inches: a panel with its margins, the left and lower margin in it, a section's heading, and the runs' labels on top.
CELL, MARGINS, HEADING, LABELS = (3.0, 2.0), (0.55, 0.3), 0.3, 0.35
# A curve is drawn smoothed over its own faint points where it has more of them than this.
MANY = 60


@dataclass(frozen=True)
class PlottedRun:
    """A run's curves: name -> (steps (N,), values (N,)), by section; and its label."""

    label: str
    curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Panel:
    """One small picture: its title, the names that it shows, and whether its values rise by factors."""

    title: str
    section: str
    names: tuple[str, ...]
    logarithmic: bool


def plot(folders: Sequence[Path], out: Path) -> Path:
    """Draw the curves of the runs in `folders` to the PNG `out`, whole or not at all; returns its path."""
    runs = [
        PlottedRun(label, curves_of(read_log(folder))) for folder, label in zip(folders, labels(folders), strict=True)
    ]
    panels = panels_of(runs)
    if not panels:
        raise RecordsError(f"nothing to draw yet: no step and no validation is in the {LOG} of {folders[0]}")
    figure = _draw(runs, panels)
    with written_whole(out) as path:
        figure.savefig(path, dpi=110, format="png")
    return out


def curves_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Section -> name -> (steps, values) of a log's rows; a step that came twice counts as it came last."""
    points: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        if row["event"] not in (STEP, VALIDATION):
            continue
        for key, item in row.items():
            value = number(item)
            if value is None or key in ("event", STEP):
                continue
            section, name = (VALIDATION, key) if row["event"] == VALIDATION else section_of(key)
            if key == "seconds_per_step":
                section, name = "speed", "seconds a step"
            points.setdefault(section, {}).setdefault(name, {})[row[STEP]] = value
    return {
        section: {name: _curve(values) for name, values in sorted(names.items())} for section, names in points.items()
    }


def labels(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many of the folders above as tell them apart."""
    paths = [folder.resolve() for folder in folders]
    names = [path.name for path in paths]
    for depth in range(2, max(len(path.parts) for path in paths) + 1):
        if len(set(names)) == len(set(paths)):
            break
        names = ["/".join(path.parts[-depth:]) for path in paths]
    return names


def panels_of(runs: Sequence[PlottedRun]) -> list[Panel]:
    """What is drawn: validation, then a panel for every loss, gradient norm, learning rate and other value."""
    sections = {section for run in runs for section in run.curves}
    order = [*(name for name in HEADINGS if name in sections), *sorted(sections - set(HEADINGS))]
    panels = []
    for section in order:
        names = {name for run in runs for name in run.curves.get(section, {})}
        groups: list[tuple[str, tuple[str, ...]]] = []
        if section == VALIDATION:
            curves_of_title = [(title, tuple(n for n in curves if n in names)) for title, curves in VALIDATED]
            # What should have been several and is one goes by its own name.
            groups = [(_words(n[0]) if "bits" in title and len(n) == 1 else title, n) for title, n in curves_of_title]
            names -= {name for _, curves in VALIDATED for name in curves} | set(COUNTS)
        groups += [(_words(name), (name,)) for name in sorted(names, key=lambda name: (name != "total", name))]
        for title, group in groups:
            values = [run.curves[section][n][1] for run in runs for n in group if n in run.curves.get(section, {})]
            if group == ("skipped",) and not any(value.any() for value in values):
                continue
            if group and any(np.isfinite(value).any() for value in values):
                panels.append(Panel(title, section, group, _spans_factors(np.concatenate(values))))
    return panels


def smoothed(values: np.ndarray) -> np.ndarray:
    """A centred, Hann-weighted average (N,) over about a tenth of the points that leaves out what is not finite."""
    half = len(values) // 20
    kernel = np.hanning(2 * half + 3)[1:-1]
    finite = np.isfinite(values)
    total = np.convolve(np.pad(np.where(finite, values, 0.0), half), kernel, "valid")
    weight = np.convolve(np.pad(finite.astype(float), half), kernel, "valid")
    return np.where(weight > 0, total / np.maximum(weight, 1e-12), np.nan)


def _curve(points: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    steps = sorted(points)
    return np.array(steps), np.array([points[step] for step in steps], dtype=float)


def _spans_factors(values: np.ndarray) -> bool:
    """Whether values are better seen on a logarithmic axis: all above zero, and from end to end a factor of 5."""
    values = values[np.isfinite(values)]
    return bool(values.min() > 0 and values.max() / values.min() >= 5)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _draw(runs: Sequence[PlottedRun], panels: Sequence[Panel]) -> Any:
    """A matplotlib figure: a band of panels under a heading for each section."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"{missing('drawing curves', 'matplotlib', 'train')}; the numbers stand in metrics.csv either way"
        ) from error
    bands = {panel.section: [other for other in panels if other.section == panel.section] for panel in panels}
    across = min(ACROSS, max(len(band) for band in bands.values()))
    corners, down = _corners([len(band) for band in bands.values()], across)
    width, height = across * CELL[0] + 0.1, LABELS + down
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    _legend(figure, runs)
    for (section, band), (left, top) in zip(bands.items(), corners, strict=True):
        heading = HEADINGS.get(section, _words(section))
        place = ((left + 0.12) / width, 1 - (LABELS + top + 0.22) / height)
        figure.text(*place, heading, fontsize=11, fontweight="bold", color="#333333")
        for index, panel in enumerate(band):
            x = left + index % across * CELL[0] + MARGINS[0]
            y = height - LABELS - top - HEADING - (index // across + 1) * CELL[1] + MARGINS[1]
            size = (CELL[0] - MARGINS[0] - 0.12, CELL[1] - MARGINS[1] - 0.3)
            ax = figure.add_axes((x / width, y / height, size[0] / width, size[1] / height))
            _draw_panel(ax, runs, panel)
    return figure


def _corners(counts: Sequence[int], across: int) -> tuple[list[tuple[float, float]], float]:
    """The left upper corner of each section of so many panels, and the height of all, in inches.

    Sections stand below each other; one that fits beside the section before it in a single row stands there.
    """
    corners: list[tuple[float, float]] = []
    column, top, bottom = across, 0.0, 0.0
    for count in counts:
        if column + count > across:
            column, top = 0, bottom
            bottom += HEADING + math.ceil(count / across) * CELL[1]
        corners.append((column * CELL[0], top))
        column = column + count if count <= across else across
    return corners, bottom


def _draw_panel(ax: Any, runs: Sequence[PlottedRun], panel: Panel) -> None:
    """A panel's curves; a single run's last value stands beside the title."""
    last = None
    for index, run in enumerate(runs):
        for name, style in zip(panel.names, STYLES, strict=False):
            if name not in run.curves.get(panel.section, {}):
                continue
            steps, values = run.curves[panel.section][name]
            finite = np.isfinite(values)
            last = values[finite][-1] if name == panel.names[0] and finite.any() else last
            look: dict[str, Any] = {"color": COLOURS[index % len(COLOURS)], "linestyle": style}
            if len(values) > MANY and panel.section != VALIDATION:
                ax.plot(steps, values, **look, linewidth=0.6, alpha=0.35)
                ax.plot(steps, smoothed(values), **look, linewidth=1.5)
            else:
                ax.plot(steps, values, **look, linewidth=1.4, marker="o" if len(values) <= 30 else None, markersize=2.6)
    ax.set_title(panel.title, loc="left", fontsize=9, color="#222222", pad=4)
    if len(runs) == 1 and last is not None:
        ax.set_title(value_text(float(last)), loc="right", fontsize=9, color=COLOURS[0], pad=4)
    _style(ax, panel, max(curve[0][-1] for run in runs for part in run.curves.values() for curve in part.values()))


def _style(ax: Any, panel: Panel, longest: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    plain = FuncFormatter(lambda value, _: f"{value:,.5g}" if 1e-3 <= abs(value) < 1e6 or not value else f"{value:.1e}")
    if panel.logarithmic:
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        few = high / low < 300
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=8))
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(plain)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
    )
    # One range of steps for all, so that what starts late is seen to start late.
    ax.set_xlim(0, longest * 1.02 or 1)
    ax.grid(True, linewidth=0.4, color="#dddddd")
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=7.5, length=2, color="#999999", labelcolor="#444444")
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#999999")
    if len(panel.names) > 1:
        lines = [Line2D([], [], color="#444444", linestyle=style, linewidth=1.2) for style in STYLES]
        names = [_words(name.removesuffix("_bits")) for name in panel.names]
        ax.legend(lines[: len(names)], names, fontsize=7, framealpha=0.8, edgecolor="none", handlelength=1.8)


def _legend(figure: Any, runs: Sequence[PlottedRun]) -> None:
    """The runs' labels above everything."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=COLOURS[index % len(COLOURS)], linewidth=2) for index in range(len(runs))]
    names = [run.label for run in runs]
    figure.legend(lines, names, loc="upper right", ncols=min(4, len(runs)), fontsize=9, frameon=False)
