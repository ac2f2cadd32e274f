"""Tables of one metric at a time: comparisons with the baseline, and means by source."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.cells import Cell, TableColumn, TableRow, table
from eval.harness.pages.panels import one_of
from soundcodec_llmcodec.pages.markup import Markup, breakable, tag

Figures = dict[str, Any]


def comparisons(results: Figures, split: str, key: str) -> Markup:
    """Every codec against the baseline on the clips that both have; empty where there is no baseline."""
    baseline = results.get("baseline")
    models = [
        (model["name"], model["splits"][split]["against_baseline"])
        for model in results["models"]
        if split in model["splits"] and model["splits"][split].get("against_baseline")
    ]
    if baseline is None or not models:
        return Markup("")
    tables = {
        name: _comparison(f"{split}, {name}: against {baseline}, paired by clip", name, metric["direction"], models)
        for name, metric in results["metrics"].items()
    }
    summary = f"Paired comparisons with {baseline}: differences, intervals and p-values"
    return _by_metric(summary, tables, results["metrics"], f"comparison-{key}")


def sources(results: Figures, split: str, key: str) -> Markup:
    """Means by source of the clips, models by rows; empty where there is but one source."""
    models = [model for model in results["models"] if split in model["splits"]]
    clips: dict[str, int] = {}
    for model in models:
        for source, figure in (model["splits"][split].get("sources") or {}).items():
            clips[source] = max(clips.get(source, 0), figure["n"])
    if len(clips) < 2:
        return Markup("")
    models = [*models, *([results["originals"]] if results.get("originals") else [])]
    tables = {
        name: _by_source(f"{split}, {name} by source", name, metric, models, split, clips)
        for name, metric in results["metrics"].items()
    }
    return _by_metric(f"By source: {len(clips)} sources", tables, results["metrics"], f"sources-{key}")


def _comparison(caption: str, name: str, direction: str, models: list[tuple[str, Figures]]) -> Markup:
    columns = [
        TableColumn("model", is_text=True),
        TableColumn("n", "clips that both codecs have", "descending"),
        TableColumn("difference", "mean difference: the model minus the baseline"),
        TableColumn("95% interval", "of the difference; sorted by its lower end"),
        TableColumn("p", "of a paired test, before the adjustment"),
        TableColumn("adjusted p", "adjusted for the number of comparisons"),
        TableColumn("verdict", f"at adjusted p < {figures.SIGNIFICANT}", class_="text"),
    ]
    rows = []
    for model, against in models:
        comparison = against.get(name)
        if comparison is None or comparison["difference"] is None:
            rows.append(
                TableRow(
                    [Cell(breakable(model), model.casefold(), class_="model"), *(Cell(figures.NONE) for _ in range(6))]
                )
            )
            continue
        mark = figures.verdict(comparison, direction)
        rows.append(
            TableRow(
                [
                    Cell(breakable(model), model.casefold(), class_="model"),
                    Cell(comparison["n"], comparison["n"]),
                    Cell(figures.signed(comparison["difference"]), comparison["difference"]),
                    Cell(figures.interval(comparison["low"], comparison["high"]), comparison["low"]),
                    Cell(figures.p_value(comparison["p_value"]), comparison["p_value"]),
                    Cell(figures.p_value(comparison["p_adjusted"]), comparison["p_adjusted"]),
                    Cell(mark or "no difference found", comparison["p_adjusted"], class_="text told"),
                ]
            )
        )
    return table(caption, columns, [(None, "", rows)])


def _by_source(
    caption: str, name: str, metric: Figures, models: list[Figures], split: str, clips: dict[str, int]
) -> Markup:
    first = "ascending" if metric["direction"] == "lower" else "descending"
    headings = [[source, tag("span", f"n={n}", class_="second")] for source, n in clips.items()]
    columns = [TableColumn("model", is_text=True), *(TableColumn(heading, first=first) for heading in headings)]
    rows = []
    for model in models:
        cells = [Cell(breakable(model["name"]), model["name"].casefold(), class_="model")]
        for source in clips:
            figure = (model["splits"][split].get("sources") or {}).get(source)
            cells.append(_mean(figure["metrics"].get(name) if figure else None))
        rows.append(TableRow(cells))
    return table(caption, columns, [(None, "", rows)])


def _mean(summary: Figures | None) -> Cell:
    if summary is None:
        return Cell(figures.NONE)
    if summary["mean"] is None:
        return Cell("refused", None, summary["refused"], "refused")
    below = figures.half(summary)
    return Cell(
        tag("span", figures.number(summary["mean"]), tag("span", below, class_="second") if below else None),
        summary["mean"],
        f"n = {summary['n']}, 95% interval {figures.interval(summary['low'], summary['high'])}",
    )


def _by_metric(summary: str, tables: dict[str, Markup], metrics: Figures, key: str) -> Markup:
    panels = {
        name: (f"{name} {figures.ARROWS[metrics[name]['direction']]}", content) for name, content in tables.items()
    }
    return one_of(summary, panels, "Metric", key)
