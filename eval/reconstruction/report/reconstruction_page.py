"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import panels, run_sections, shell
from eval.harness.pages.run_report import RunReport
from eval.harness.pages.shell import count
from eval.harness.run_folder import RunFolder
from eval.reconstruction.reconstruction_schema import SCHEMA
from eval.reconstruction.report import breakdowns, clip_players, codec_table, quality_plots, reconstruction_sections
from soundcodec_llmcodec.pages.markup import Markup, tag

PLOTS_AT_FIRST = 6

Figures = dict[str, Any]


def page(run: RunFolder) -> str:
    """The text of the HTML file of a run."""
    results = run.results
    splits = results["splits"]
    return shell.page(
        title=f"{results['dataset']['label']}: codec reconstruction report",
        eyebrow="Codec reconstruction report",
        label=results["dataset"]["label"],
        summary=_summary(results),
        banners=run_sections.banners(results),
        provenance=reconstruction_sections.provenance(results),
        tabs=shell.tab_list(splits, "Split"),
        panels=Markup("".join(_panel(results, split, index) for index, split in enumerate(splits))),
        listening=_listening(run),
        failures=reconstruction_sections.failures(results),
        definitions=reconstruction_sections.definitions(results),
    )


REPORT_OF_RECONSTRUCTION = RunReport(SCHEMA, page)


def _summary(results: Figures) -> Markup:
    loaded = sum(not model["failure"] for model in results["models"])
    unloaded = len(results["models"]) - loaded
    clips = results["dataset"]["clips"]
    n_clips = clips.get("Overall", sum(clips.values()))
    parts = [count(loaded, "model"), count(n_clips, "clip"), count(len(results["metrics"]), "metric")]
    missing = [count(len(results.get("failures") or ()), "failed clip")] if results.get("failures") else []
    missing += [f"{count(unloaded, 'codec')} not loaded"] if unloaded else []
    return panels.summary(parts, missing)


def _panel(results: Figures, split: str, index: int) -> Markup:
    """All of one split: its table, comparisons, plots and sources."""
    toggle = None
    if any(split in row["splits"] for row in results.get("published") or ()):
        toggle = panels.published_toggle()
    legend = tag(
        "p",
        "Mean ± half of its 95% interval. Bold: best of the codecs here. ",
        f"▲ ▼: better or worse than {results['baseline']}, adjusted p < 0.05. " if results.get("baseline") else "",
        "A heading sorts by its column.",
        class_="muted small",
    )
    metrics = list(results["metrics"])
    choice = panels.chips("Metrics", ((name, name, place < PLOTS_AT_FIRST) for place, name in enumerate(metrics)))
    drawn = tag("div", [quality_plots.plot(results, split, name) for name in metrics], class_="plots")
    return panels.panel(
        index,
        split,
        tag("h2", "Leaderboard", tag("span", f" {split}", class_="muted"), id=f"table-{index}"),
        tag("div", legend, toggle, class_="bar"),
        codec_table.leaderboard(results, split),
        breakdowns.comparisons(results, split, str(index)),
        breakdowns.sources(results, split, str(index)),
        tag("h2", "Quality against bit rate", tag("span", f" {split}", class_="muted")),
        choice,
        drawn,
    )


def _listening(run: RunFolder) -> Markup:
    clips = run.results.get("samples") or []
    if not clips:
        return tag("p", "This run kept no samples.")
    scale = "the loudest spot of the original, one scale for all cards of a clip."
    none = tag("p", "No samples of this split were kept.", class_="no-samples", hidden=True)
    samples = (clip_players.sample(run, clip, str(index)) for index, clip in enumerate(clips))
    return panels.listening(scale, "another codec of the clip", samples, none)
