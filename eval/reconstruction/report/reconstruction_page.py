"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.harness import manifest
from eval.harness.pages import shell
from eval.harness.pages.shell import REPORT, count
from eval.reconstruction.report import (
    breakdowns,
    clip_players,
    codec_table,
    quality_plots,
    reconstruction_folder,
    reconstruction_sections,
)
from soundcodec_llmcodec.pages import single_file
from soundcodec_llmcodec.pages.markup import Markup, join, tag

PLOTS_AT_FIRST = 6

Figures = dict[str, Any]


def build(path: Path) -> str:
    """The report of a run folder as the text of one HTML file: no network, no other files.

    Raises ReportError where the folder holds no run of this schema. A missing sample file is said in its place.
    """
    run = reconstruction_folder.read(path)
    results = run.results
    splits = results["splits"]
    return shell.page(
        title=f"{results['dataset']['label']}: codec reconstruction report",
        eyebrow="Codec reconstruction report",
        label=results["dataset"]["label"],
        summary=_summary(results),
        banners=reconstruction_sections.banners(results),
        provenance=reconstruction_sections.provenance(results),
        tabs=shell.tab_list(splits, "Split"),
        panels=join(_panel(results, split, index) for index, split in enumerate(splits)),
        listening=_listening(run),
        failures=reconstruction_sections.failures(results),
        definitions=reconstruction_sections.definitions(results),
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
    loaded = sum(not model["failure"] for model in results["models"])
    unloaded = len(results["models"]) - loaded
    clips = results["dataset"]["clips"]
    n_clips = clips.get("Overall", sum(clips.values()))
    parts = [count(loaded, "model"), count(n_clips, "clip"), count(len(results["metrics"]), "metric")]
    missing = [count(len(results.get("failures") or ()), "failed clip")] if results.get("failures") else []
    missing += [f"{count(unloaded, 'codec')} not loaded"] if unloaded else []
    link = tag("a", " · ".join(missing), href="#failures", class_="warn") if missing else None
    return tag("p", " · ".join(parts), link and Markup(" · "), link, class_="summary")


def _panel(results: Figures, split: str, index: int) -> Markup:
    """All of one split: its table, comparisons, plots and sources."""
    toggle = None
    if any(split in row["splits"] for row in results.get("published") or ()):
        box = tag("input", type="checkbox", class_="show-published", checked=True)
        toggle = tag("label", box, " Published numbers (not measured here)", class_="toggle")
    legend = tag(
        "p",
        "Mean ± half of its 95% interval. Bold: best of the codecs here. ",
        f"▲ ▼: better or worse than {results['baseline']}, adjusted p < 0.05. " if results.get("baseline") else "",
        "A heading sorts by its column.",
        class_="muted small",
    )
    metrics = list(results["metrics"])
    boxes = [
        tag("label", tag("input", type="checkbox", value=name, checked=place < PLOTS_AT_FIRST), f" {name}")
        for place, name in enumerate(metrics)
    ]
    choice = tag("fieldset", tag("legend", "Metrics", class_="unseen"), boxes, class_="chips")
    plots = tag("div", [quality_plots.plot(results, split, name) for name in metrics], class_="plots")
    return tag(
        "div",
        tag("h2", "Leaderboard", tag("span", f" {split}", class_="muted"), id=f"table-{index}"),
        tag("div", legend, toggle, class_="bar"),
        codec_table.leaderboard(results, split),
        breakdowns.comparisons(results, split, str(index)),
        breakdowns.sources(results, split, str(index)),
        tag("h2", "Quality against bit rate", tag("span", f" {split}", class_="muted")),
        choice,
        plots,
        role="tabpanel",
        id=f"panel-{index}",
        aria_labelledby=f"tab-{index}",
        class_="panel",
        data_split=split,
    )


def _listening(run: reconstruction_folder.ReconstructionFolder) -> Markup:
    clips = run.results.get("samples") or []
    if not clips:
        return tag("p", "This run kept no samples.")
    scale = (
        "Spectrograms: mel-spaced frequencies, 0 to −80 dB below the loudest spot of the original, one scale for all "
        "cards of a clip."
    )
    switch = tag(
        "label",
        tag("input", type="checkbox", id="keep-place", checked=True),
        " Go on from the same place when another codec of the clip is played",
        class_="toggle",
    )
    none = tag("p", "No samples of this split were kept.", class_="no-samples", hidden=True)
    sections = [clip_players.sample(run, clip, str(index)) for index, clip in enumerate(clips)]
    return tag("div", tag("p", scale, class_="muted small"), switch, class_="bar") + none + join(sections)
