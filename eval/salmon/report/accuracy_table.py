"""The table of a normalization: models by rows, parts by columns; and the paired comparisons with the baseline."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.cells import Cell, TableColumn, TableRow, table
from eval.harness.pages.panels import one_of
from eval.salmon.salmon_table import AVERAGE, AVERAGE_TITLE, BY_CHANCE
from soundcodec_llmcodec.pages.markup import Markup, breakable, tag

SHORT_HASH = 8
Figures = dict[str, Any]


def titles(results: Figures) -> dict[str, str]:
    """Parts, and the average where there is more than one, with their titles."""
    named = {part: facts["title"] for part, facts in results["parts"].items()}
    return {**named, AVERAGE: AVERAGE_TITLE} if len(named) > 1 else named


def of(model: Figures, how: str, part: str) -> Figures:
    """A model's accuracy in a part, or its average."""
    scores = model["scores"][how]
    accuracy: Figures = scores["average"] if part == AVERAGE else scores["parts"][part]
    return accuracy


def loaded(results: Figures) -> list[Figures]:
    """The models that have numbers."""
    return [model for model in results["models"] if not model["failure"]]


def leaderboard(results: Figures, how: str) -> Markup:
    """The table, and below it why accuracies were refused and where published ones are from."""
    models, named = loaded(results), titles(results)
    columns = [
        TableColumn("model", is_text=True),
        TableColumn("tok/s", "tokens per second of audio"),
        TableColumn("kbit/s", "the codec's bit rate in kbit/s"),
        *(TableColumn(title, _about(results, part), "descending", class_="metric") for part, title in named.items()),
        TableColumn("ties", "pairs with two equal scores, of the pairs that count"),
        TableColumn("failed", "pairs without scores"),
        TableColumn("pairs/s", "pairs coded and scored a second on the machine of this run", "descending"),
    ]
    best = _best(models, how, named)
    measured = [_row(results, model, how, named, best) for model in models]
    published = [_published(row, named) for row in results.get("published") or ()]
    heading = Markup("Published, not measured here: on SALMon itself")
    sizes = {facts["pairs"] for facts in results["parts"].values()}
    each = f"{sizes.pop()} pairs a part" if len(sizes) == 1 else "pairs by part as in the headings' titles"
    caption = f"{results['suite']['label']}: accuracy in %, {each}; chance is 50"
    groups = [(None, "", measured), (heading, "published", published)]
    return Markup(table(caption, columns, groups) + _refusals(models, how, named) + _sources(results))


def comparisons(results: Figures, how: str, key: str) -> Markup:
    """Every model against the baseline on the same pairs, part by part; empty where there is nothing to compare."""
    baseline = results.get("baseline")
    compared = [(model["name"], model["scores"][how]["against_baseline"]) for model in loaded(results)]
    compared = [(name, against) for name, against in compared if against]
    if baseline is None or not compared:
        return Markup("")
    tables = {
        part: (title, _comparison(f"{title}: against {baseline}, paired by pair", part, compared))
        for part, title in titles(results).items()
    }
    summary = f"Paired comparisons with {baseline}: differences, intervals and p-values"
    return one_of(summary, tables, "Part", f"comparison-{key}")


def _about(results: Figures, part: str) -> str:
    if part == AVERAGE:
        return "the mean of the parts, each counting once"
    about = results["parts"][part]
    return f"{about['about'] or part}; {about['pairs']} pairs"


def _best(models: list[Figures], how: str, named: dict[str, str]) -> dict[str, float]:
    """The best accuracy of each column in which one is better than another."""
    best = {}
    for part in named:
        values = [value for model in models if (value := of(model, how, part)["accuracy"]) is not None]
        if len(set(values)) > 1:
            best[part] = max(values)
    return best


def _row(results: Figures, model: Figures, how: str, named: dict[str, str], best: dict[str, float]) -> TableRow:
    is_baseline = model["name"] == results.get("baseline")
    failed = sum(of(model, how, part)["failed"] for part in results["parts"])
    ties = sum(of(model, how, part)["ties"] or 0 for part in results["parts"])
    against = model["scores"][how]["against_baseline"]
    speed = model.get("pairs_per_s")
    cells = [
        Cell(_name(model, is_baseline), model["name"].casefold(), class_="model"),
        Cell(f"{model['token_rate']:g}", model["token_rate"]),
        Cell(figures.number(model["bitrate_bps"] / 1000), model["bitrate_bps"]),
        *(_accuracy(results, of(model, how, part), part, against.get(part), best.get(part)) for part in named),
        Cell(ties, ties),
        Cell(failed, failed, class_="warn" if failed else None),
        Cell(figures.number(speed, 2), speed),
    ]
    return TableRow(cells, "baseline" if is_baseline else None)


def _name(model: Figures, is_baseline: bool) -> Markup:
    about = [
        f"codec {model['codec']} {model['codec_hash'][:SHORT_HASH]}",
        f"LM {model['lm']} {model['lm_identity'][:SHORT_HASH]}",
        "begin token" if model["lm_prefix"] == "bos" else "no begin token",
    ]
    if model["lm_parameters"]:
        about.append(f"{model['lm_parameters'] / 1e6:.1f} M parameters")
    chip = tag("span", "baseline", class_="chip") if is_baseline else None
    name = tag("span", breakable(model["name"]), class_="name")
    return tag("div", name, chip and Markup(" "), chip, tag("span", " · ".join(about), class_="about"))


def _accuracy(results: Figures, accuracy: Figures, part: str, against: Figures | None, best: float | None) -> Cell:
    if accuracy["accuracy"] is None:
        return Cell(tag("span", "refused"), None, accuracy["refused"], "refused")
    differs = figures.is_significant({"difference": True, **accuracy})
    star = tag("span", BY_CHANCE, tag("span", " differs from chance", class_="unseen"), class_="chance")
    ends = f"{100 * accuracy['low']:.0f}–{100 * accuracy['high']:.0f}"
    part_facts = results["parts"].get(part)
    n = f" n={accuracy['n']}" if part_facts and part_facts["pairs"] != accuracy["n"] else ""
    wrong = accuracy["n"] - accuracy["right"] - accuracy["ties"]
    title = [
        f"{accuracy['right']} right, {accuracy['ties']} ties, {wrong} wrong of {accuracy['n']} pairs",
        f"95% interval {100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}",
        f"against chance: p {figures.p_value(accuracy['p_value'])}, adjusted {figures.p_value(accuracy['p_adjusted'])}",
    ]
    if against:
        title.append(
            f"against {results['baseline']}: {_points(against['difference'])} "
            f"[{_points(against['low'])}, {_points(against['high'])}], adjusted p "
            f"{figures.p_value(against['p_adjusted'])}"
        )
    mark = figures.verdict(against, "higher") if against else None
    text = tag(
        "span", percent(accuracy["accuracy"]), star if differs else None, mark, tag("span", ends + n, class_="second")
    )
    return Cell(text, accuracy["accuracy"], "\n".join(title), "best" if accuracy["accuracy"] == best else None)


def percent(share: float) -> str:
    """A share in % with one decimal."""
    return f"{100 * share:.1f}"


def _points(difference: float) -> str:
    """A difference of shares in points of percent."""
    text = f"{100 * difference:+.1f}"
    return text.replace("-", "−") if float(text) else "0.0"


def _published(row: Figures, named: dict[str, str]) -> TableRow:
    name = tag("span", breakable(f"{row['name']} (published)"), class_="name")
    note = tag("span", "published, not measured here", class_="about")
    values = [row["values"].get(part) for part in named]
    cells = [
        Cell(tag("div", name, note), row["name"].casefold(), row["source"], "model"),
        *(Cell(figures.NONE) for _ in range(2)),
        # As a share, as the measured ones are, so that a column sorts by one unit.
        *(Cell(figures.NONE if value is None else f"{value:.1f}", value and value / 100) for value in values),
        *(Cell(figures.NONE) for _ in range(3)),
    ]
    return TableRow(cells)


def _refusals(models: list[Figures], how: str, named: dict[str, str]) -> Markup:
    """The reasons of refused accuracies in the open: a tooltip is out of reach on a phone."""
    items = [
        tag("li", tag("strong", model["name"]), f", {title}: {refused}")
        for model in models
        for part, title in named.items()
        if (refused := of(model, how, part)["refused"])
    ]
    return tag("div", tag("p", "Refused accuracies:"), tag("ul", items), class_="notes") if items else Markup("")


def _sources(results: Figures) -> Markup:
    by_source: dict[str, list[str]] = {}
    for row in results.get("published") or ():
        by_source.setdefault(row["source"], []).append(row["name"])
    items = [tag("li", tag("strong", ", ".join(names)), f": {source}") for source, names in by_source.items()]
    return (
        tag("div", tag("p", "Published numbers:"), tag("ul", items), class_="notes published") if items else Markup("")
    )


def _comparison(caption: str, part: str, compared: list[tuple[str, Figures]]) -> Markup:
    columns = [
        TableColumn("model", is_text=True),
        TableColumn("n", "pairs that both models have", "descending"),
        TableColumn("difference", "in points of percent: the model minus the baseline", "descending"),
        TableColumn("95% interval", "of the difference; sorted by its lower end", "descending"),
        TableColumn("better", "pairs with a better point than the baseline's", "descending"),
        TableColumn("worse", "pairs with a worse point than the baseline's", "descending"),
        TableColumn("p", "before the adjustment"),
        TableColumn("adjusted p", "adjusted for the number of comparisons"),
        TableColumn("verdict", f"at adjusted p < {figures.SIGNIFICANT}", class_="text"),
    ]
    rows = []
    for name, against in compared:
        named = Cell(breakable(name), name.casefold(), class_="model")
        comparison = against.get(part)
        if comparison is None:
            rows.append(TableRow([named, *(Cell(figures.NONE) for _ in range(len(columns) - 1))]))
            continue
        mark = figures.verdict(comparison, "higher")
        ends = f"[{_points(comparison['low'])}, {_points(comparison['high'])}]"
        cells = [
            named,
            Cell(comparison["n"], comparison["n"]),
            Cell(_points(comparison["difference"]), comparison["difference"]),
            Cell(ends, comparison["low"]),
            Cell(comparison["better"], comparison["better"]),
            Cell(comparison["worse"], comparison["worse"]),
            Cell(figures.p_value(comparison["p_value"]), comparison["p_value"]),
            Cell(figures.p_value(comparison["p_adjusted"]), comparison["p_adjusted"]),
            Cell(mark or "no difference found", comparison["p_adjusted"], class_="text told"),
        ]
        rows.append(TableRow(cells))
    return table(caption, columns, [(None, "", rows)])
