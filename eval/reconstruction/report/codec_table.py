"""The table of one split: codecs by rows, what they cost and how well they reconstruct by columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.cells import Cell, TableColumn, TableRow, table
from soundcodec_llmcodec.pages.markup import Child, Markup, breakable, tag

BOUND, ORIGINALS = "bound", "originals"
SHORT_HASH = 8

Figures = dict[str, Any]
# One codec under three names, in two orders, on a machine that does other things too: times differed by up to 25%,
# memory by up to 20%.
COST_NOISE = 0.3
COSTS: tuple[tuple[str, TableColumn], ...] = (
    (
        "encode_rtf",
        TableColumn("enc. RTF", "encoding: seconds of work per second of audio, on the machine of this run"),
    ),
    (
        "decode_rtf",
        TableColumn("dec. RTF", "decoding: seconds of work per second of audio, on the machine of this run"),
    ),
    ("peak_memory_mib", TableColumn("MiB", "the most memory in MiB that a batch took beyond the loaded model")),
)


def leaderboard(results: Figures, split: str) -> Markup:
    """The table, and below it why means were refused."""
    metrics = results["metrics"]
    loaded = [model for model in results["models"] if split in model["splits"]]
    measured = [model for model in loaded if model["kind"] != BOUND]
    best = _best(measured, split, metrics)
    columns = [*_codec_columns(), *(_metric_column(name, metrics[name]) for name in metrics)]
    columns += [column for _, column in COSTS]
    rows = {
        kind: [
            _row(model, split, results, best if kind == "codecs" else {})
            for model in loaded
            if (model["kind"] == BOUND) == (kind == "bounds")
        ]
        for kind in ("codecs", "bounds")
    }
    published = [_published(row, split, metrics) for row in results.get("published") or () if split in row["splits"]]
    groups = [
        (None, "", rows["codecs"]),
        (Markup("Bounds, no codecs: what can be reached at all"), "bounds", rows["bounds"]),
        (
            Markup("The clips themselves, no codec: what the recogniser hears in them"),
            "bounds",
            _originals(results, split),
        ),
        (Markup("Published, not measured here"), "published", published),
    ]
    caption = f"{split}: {results['dataset']['clips'].get(split, 0)} clips of {results['dataset']['label']}"
    return table(caption, columns, groups) + _refusals(loaded, split)


def _codec_columns() -> list[TableColumn]:
    return [
        TableColumn("model", is_text=True),
        TableColumn("kbit/s", "bit rate in kbit/s: of the configuration, or counted in this run"),
        TableColumn("tok/s", "tokens per second of audio, all levels together or as configured"),
        TableColumn("codes", "different codes used, of how many there are", first="descending"),
        TableColumn("entropy", "entropy of one code in bits, the mean over codebook levels", first="descending"),
        TableColumn("n", "clips", first="descending"),
        TableColumn("failed", "clips without a reconstruction"),
    ]


def _metric_column(name: str, metric: Figures) -> TableColumn:
    title = f"{metric['definition']} [{metric['unit']}], {figures.BETTER[metric['direction']]}"
    heading: Child = (
        name,
        " ",
        tag("span", figures.ARROWS[metric["direction"]], aria_hidden="true", class_="arrow"),
        tag("span", f", {figures.BETTER[metric['direction']]}", class_="unseen"),
    )
    return TableColumn(heading, title, "ascending" if metric["direction"] == "lower" else "descending", class_="metric")


def _best(models: list[Figures], split: str, metrics: Figures) -> dict[str, float]:
    """The best value of each column in which one is better than another."""
    best: dict[str, float] = {}
    better: dict[str, Callable[..., float]] = {name: min for name, _ in COSTS}
    better |= {name: min if metric["direction"] == "lower" else max for name, metric in metrics.items()}
    for name, choose in better.items():
        values = [_value(model["splits"][split], name) for model in models]
        there = [value for value in values if value is not None]
        if len(there) > 1 and (name in metrics or _is_beyond_noise(sorted(there))):
            best[name] = choose(there)
    return best


def _is_beyond_noise(costs: list[float]) -> bool:
    """Whether the least of a machine's costs, in order, is less than the next by more than measuring again changes."""
    return costs[1] > costs[0] * (1 + COST_NOISE)


def _value(split: Figures, name: str) -> float | None:
    summary = split["metrics"].get(name)
    value = summary["mean"] if summary else split.get(name)
    return None if value is None else float(value)


def _row(model: Figures, split: str, results: Figures, best: dict[str, float]) -> TableRow:
    figure = model["splits"][split]
    baseline = results.get("baseline")
    cells = [
        Cell(_model(model, model["name"] == baseline), model["name"].casefold(), class_="model"),
        Cell(
            figures.number(None if figure["bitrate_bps"] is None else figure["bitrate_bps"] / 1000),
            figure["bitrate_bps"],
            _rate(figure),
        ),
        Cell(figures.NONE if figure["token_rate"] is None else f"{figure['token_rate']:g}", figure["token_rate"]),
        _codes(figure),
        Cell(figures.number(figure["entropy_bits"], 2), figure["entropy_bits"]),
        Cell(figure["n"], figure["n"]),
        Cell(len(figure["failures"]), len(figure["failures"]), class_="warn" if figure["failures"] else None),
    ]
    against = figure.get("against_baseline") or {}
    for name, metric in results["metrics"].items():
        is_best = name in best and _value(figure, name) == best[name]
        cells.append(_metric(figure, name, metric, against.get(name), baseline, is_best))
    for name, _ in COSTS:
        # What a bound takes is the harness's own time: it codes nothing.
        value = None if model["kind"] == BOUND else figure.get(name)
        is_best = name in best and value == best[name]
        text = figures.number(value, 0 if name == "peak_memory_mib" else 3)
        cells.append(Cell(text, value, class_="best" if is_best else None))
    return TableRow(cells, "baseline" if model["name"] == baseline else None)


def _originals(results: Figures, split: str) -> list[TableRow]:
    """The row of the clips themselves; none where no metric has a floor."""
    originals = results.get("originals")
    if not originals or split not in originals["splits"]:
        return []
    figure = originals["splits"][split]
    name = tag("span", originals["name"], class_="name")
    note = tag("span", "in no comparison", class_="about")
    metrics = results["metrics"].items()
    cells = [
        Cell(tag("div", name, note), originals["name"], class_="model"),
        *(Cell(figures.NONE) for _ in range(4)),
        Cell(figure["n"], figure["n"]),
        Cell(figures.NONE),
        *(_metric(figure, metric, definition, None, None, False) for metric, definition in metrics),
        *(Cell(figures.NONE) for _ in COSTS),
    ]
    return [TableRow(cells)]


def _model(model: Figures, is_baseline: bool) -> Markup:
    about = [model["kind"]]
    if model["checkpoint"] not in (None, "-"):
        about.append(model["checkpoint"])
    if model["checkpoint_hash"]:
        about.append(model["checkpoint_hash"][:SHORT_HASH])
    if model["parameters"]:
        about.append(f"{model['parameters'] / 1e6:.1f} M parameters")
    chip = tag("span", "baseline", class_="chip") if is_baseline else None
    full = tag("span", breakable(model["name"]), class_="name")
    return tag("div", full, chip and Markup(" "), chip, tag("span", " · ".join(about), class_="about"))


def _rate(figure: Figures) -> str | None:
    if figure["bitrate_bps"] is None:
        return None
    how = "counted in this run" if figure.get("bitrate_counted") else "by the codec's configuration"
    return f"{figure['bitrate_bps']:.1f} bit/s, {how}"


def _codes(figure: Figures) -> Cell:
    used, total = figure["codes_used"], figure["codes_total"]
    if used is None:
        return Cell(figures.NONE)
    text = tag("span", f"{used:,}", tag("span", f"/ {total:,}", class_="second") if total else None)
    return Cell(text, used, f"{used / total:.0%} of the codes" if total else None)


def _metric(
    figure: Figures, name: str, metric: Figures, against: Figures | None, baseline: str | None, is_best: bool
) -> Cell:
    summary = figure["metrics"].get(name)
    if summary is None:
        return Cell(figures.NONE)
    if summary["mean"] is None:
        return Cell(tag("span", "refused"), None, summary["refused"], "refused")
    mark = figures.verdict(against, metric["direction"]) if against else None
    second = [figures.half(summary)]
    if summary["n"] != figure["n"]:
        second.append(f"n={summary['n']}")
    below = " ".join(part for part in second if part)
    text = tag("span", figures.number(summary["mean"]), mark, tag("span", below, class_="second") if below else None)
    title = [f"{name} {summary['mean']:.6g} {metric['unit']}, n = {summary['n']}"]
    if summary["low"] is not None:
        title.append(f"95% interval {figures.interval(summary['low'], summary['high'])}")
    if against and against["difference"] is not None:
        title.append(
            f"against {baseline}: {figures.signed(against['difference'])} "
            f"{figures.interval(against['low'], against['high'])}, adjusted p {figures.p_value(against['p_adjusted'])}"
        )
    return Cell(text, summary["mean"], "\n".join(title), "best" if is_best else None)


def _published(row: Figures, split: str, metrics: Figures) -> TableRow:
    values = row["splits"][split]
    name = tag("span", breakable(row.get("label") or row["name"]), class_="name")
    note = tag("span", "; ".join(["published, not measured here", *filter(None, [row.get("note")])]), class_="about")
    rate = row.get("token_rate")
    cells = [
        Cell(tag("div", name, note), row["name"].casefold(), row.get("source"), "model"),
        Cell(figures.number(row.get("kbps")), None if row.get("kbps") is None else row["kbps"] * 1000),
        Cell(figures.NONE if rate is None else f"{rate:g}", rate),
        *(Cell(figures.NONE) for _ in range(4)),
        *(Cell(figures.number(values.get(metric)), values.get(metric)) for metric in metrics),
        *(Cell(figures.NONE) for _ in COSTS),
    ]
    return TableRow(cells)


def _refusals(models: list[Figures], split: str) -> Markup:
    """The reasons of refused means in the open: a tooltip is out of reach on a phone."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for model, name, reason in _refused(models, split):
        by_reason.setdefault((model, reason), []).append(name)
    if not by_reason:
        return Markup("")
    items = [
        tag("li", tag("strong", model), f": {', '.join(names)} – {reason}")
        for (model, reason), names in by_reason.items()
    ]
    return tag("div", tag("p", "Refused means:"), tag("ul", items), class_="notes")


def _refused(models: list[Figures], split: str) -> Iterator[tuple[str, str, str]]:
    for model in models:
        for name, summary in model["splits"][split]["metrics"].items():
            if summary["refused"]:
                yield model["name"], name, summary["refused"]
