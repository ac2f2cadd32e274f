"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.harness import manifest
from eval.harness.pages import shell
from eval.harness.pages.shell import REPORT, count
from eval.reconstruction.report import reconstruction_sections
from eval.salmon.pair_scores import NORMALIZATIONS, PER_TOKEN
from eval.salmon.report import accuracy_table, histograms, pair_players, salmon_folder, salmon_sections
from eval.salmon.salmon_table import HOW
from soundcodec_llmcodec.pages import single_file
from soundcodec_llmcodec.pages.markup import Markup, join, tag

STYLE = Path(__file__).with_name("style.css")
TABS = {PER_TOKEN: "Nats a token", "sum": "Summed"}

Figures = dict[str, Any]


def build(path: Path) -> str:
    """The report of a run folder as the text of one HTML file: no network, no other files.

    Raises ReportError where the folder holds no run of this schema. A missing sample file is said in its place.
    """
    run = salmon_folder.read(path)
    results = run.results
    asked = results["normalize"]
    hows = [asked, *(how for how in NORMALIZATIONS if how != asked)]
    label = results["suite"]["label"]
    return shell.page(
        title=f"{label}: coherence report",
        eyebrow="SALMon: coherence report",
        label=label,
        summary=_summary(results),
        banners=reconstruction_sections.banners(results),
        provenance=salmon_sections.provenance(results),
        tabs=shell.tab_list([TABS[how] for how in hows], "Scores"),
        panels=join(_panel(run, how, index) for index, how in enumerate(hows)),
        listening=_listening(run),
        failures=salmon_sections.failures(results),
        definitions=salmon_sections.definitions(results),
        more_style=STYLE.read_text(encoding="utf-8"),
    )


def write(path: Path, output: Path | None = None) -> Path:
    """Build the report and write it, whole or not at all, to `output` or report.html in the folder. Returns where.

    Raises manifest.ForeignFileError where the folder has a report.html that no run wrote.
    """
    text = build(path)
    if output is not None:
        return single_file.write(text, output)
    with manifest.written(path, REPORT) as unfinished:
        single_file.write(text, unfinished)
    return path / REPORT


def _summary(results: Figures) -> Markup:
    loaded = accuracy_table.loaded(results)
    unloaded = len(results["models"]) - len(loaded)
    n_pairs = sum(facts["pairs"] for facts in results["parts"].values())
    parts = [count(len(loaded), "model"), count(len(results["parts"]), "part"), count(n_pairs, "pair")]
    missing = [count(len(results["failures"]), "failed pair")] if results.get("failures") else []
    missing += [f"{count(unloaded, 'model')} not loaded"] if unloaded else []
    link = tag("a", " · ".join(missing), href="#failures", class_="warn") if missing else None
    return tag("p", " · ".join(parts), link and Markup(" · "), link, class_="summary")


def _panel(run: salmon_folder.SalmonFolder, how: str, index: int) -> Markup:
    """All of one normalization: its table, comparisons and histograms."""
    results = run.results
    toggle = None
    if results.get("published"):
        box = tag("input", type="checkbox", class_="show-published", checked=True)
        toggle = tag("label", box, " Published numbers (not measured here)", class_="toggle")
    baseline = results.get("baseline")
    legend = tag(
        "p",
        "Accuracy in %, and its 95% interval. Bold: best of the models here. * differs from chance",
        f", ▲ ▼ better or worse than {baseline}" if baseline else "",
        ", adjusted p < 0.05. A heading sorts by its column.",
        class_="muted small",
    )
    boxes = [
        tag("label", tag("input", type="checkbox", value=part, checked=True), f" {facts['title']}")
        for part, facts in results["parts"].items()
    ]
    choice = tag("fieldset", tag("legend", "Parts", class_="unseen"), boxes, class_="chips")
    plots = tag("div", [histograms.figure(run, part, how) for part in results["parts"]], class_="plots")
    by_normalization = tag("span", f" by {HOW[how]}", class_="muted")
    return tag(
        "div",
        tag("h2", "Leaderboard", by_normalization, id=f"table-{index}"),
        tag("div", legend, toggle, class_="bar"),
        accuracy_table.leaderboard(results, how),
        accuracy_table.comparisons(results, how, str(index)),
        tag("h2", "Score differences", by_normalization),
        tag("p", "A bar's height is its number of pairs, on each model's own scale.", class_="muted small"),
        choice,
        plots,
        role="tabpanel",
        id=f"panel-{index}",
        aria_labelledby=f"tab-{index}",
        class_="panel",
        data_split=TABS[how],
    )


def _listening(run: salmon_folder.SalmonFolder) -> Markup:
    kept = run.results.get("samples") or []
    if not kept:
        return tag("p", "This run kept no pairs.")
    scale = (
        "Spectrograms: mel-spaced frequencies, 0 to −80 dB below the loudest spot of the pair. A dashed line is where "
        "the second half begins, where the suite tells."
    )
    switch = tag(
        "label",
        tag("input", type="checkbox", id="keep-place", checked=True),
        " Go on from the same place when the other recording of the pair is played",
        class_="toggle",
    )
    pairs = [pair_players.pair(run, kept_pair, str(index)) for index, kept_pair in enumerate(kept)]
    return tag("div", tag("p", scale, class_="muted small"), switch, class_="bar") + join(pairs)
