"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.harness.pages import panels, run_sections, shell
from eval.harness.pages.run_report import RunReport
from eval.harness.pages.shell import count
from eval.harness.run_folder import RunFolder
from eval.salmon.pair_scores import NORMALIZATIONS, PER_TOKEN
from eval.salmon.report import accuracy_table, histograms, pair_players, salmon_sections
from eval.salmon.salmon_schema import SCHEMA
from eval.salmon.salmon_table import HOW
from soundcodec_llmcodec.pages.markup import Markup, tag

STYLE = Path(__file__).with_name("style.css")
TABS = {PER_TOKEN: "Nats a token", "sum": "Summed"}

Figures = dict[str, Any]


def page(run: RunFolder) -> str:
    """The text of the HTML file of a run."""
    results = run.results
    normalization = results["normalize"]
    hows = [normalization, *(how for how in NORMALIZATIONS if how != normalization)]
    label = results["suite"]["label"]
    return shell.page(
        title=f"{label}: coherence report",
        eyebrow="SALMon: coherence report",
        label=label,
        summary=_summary(results),
        banners=run_sections.banners(results),
        provenance=salmon_sections.provenance(results),
        tabs=shell.tab_list([TABS[how] for how in hows], "Scores"),
        panels=Markup("".join(_panel(run, how, index) for index, how in enumerate(hows))),
        listening=_listening(run),
        failures=salmon_sections.failures(results),
        definitions=salmon_sections.definitions(results),
        more_style=STYLE.read_text(encoding="utf-8"),
    )


REPORT_OF_SALMON = RunReport(SCHEMA, page)


def _summary(results: Figures) -> Markup:
    loaded = accuracy_table.loaded(results)
    unloaded = len(results["models"]) - len(loaded)
    n_pairs = sum(part["pairs"] for part in results["parts"].values())
    parts = [count(len(loaded), "model"), count(len(results["parts"]), "part"), count(n_pairs, "pair")]
    missing = [count(len(results["failures"]), "failed pair")] if results.get("failures") else []
    missing += [f"{count(unloaded, 'model')} not loaded"] if unloaded else []
    return panels.summary(parts, missing)


def _panel(run: RunFolder, how: str, index: int) -> Markup:
    """All of one normalization: its table, comparisons and histograms."""
    results = run.results
    toggle = panels.published_toggle() if results.get("published") else None
    baseline = results.get("baseline")
    legend = tag(
        "p",
        "Accuracy in %, and its 95% interval. Bold: best of the models here. * differs from chance",
        f", ▲ ▼ better or worse than {baseline}" if baseline else "",
        ", adjusted p < 0.05. A heading sorts by its column.",
        class_="muted small",
    )
    choice = panels.chips("Parts", ((part, about["title"], True) for part, about in results["parts"].items()))
    drawn = tag("div", [histograms.figure(run, part, how) for part in results["parts"]], class_="plots")
    note = tag("span", f" by {HOW[how]}", class_="muted")
    return panels.panel(
        index,
        TABS[how],
        tag("h2", "Leaderboard", note, id=f"table-{index}"),
        tag("div", legend, toggle, class_="bar"),
        accuracy_table.leaderboard(results, how),
        accuracy_table.comparisons(results, how, str(index)),
        tag("h2", "Score differences", note),
        tag("p", "A bar's height is its number of pairs, on each model's own scale.", class_="muted small"),
        choice,
        drawn,
    )


def _listening(run: RunFolder) -> Markup:
    pairs = run.results.get("samples") or []
    if not pairs:
        return tag("p", "This run kept no pairs.")
    scale = "the loudest spot of the pair. A dashed line is where the second half begins, where the suite tells."
    samples = (pair_players.pair(run, sample, str(index)) for index, sample in enumerate(pairs))
    return panels.listening(scale, "the other recording of the pair", samples)
