"""The sections of words: what was run, what failed, what the numbers mean."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.run_sections import definition_list, identified, made_with, unloaded
from eval.harness.pages.run_sections import failures as failures_table
from soundcodec_llmcodec.pages.markup import Markup, tag

Figures = dict[str, Any]


def provenance(results: Figures) -> Markup:
    """Where the numbers are from: data set, date, machine, command line, versions."""
    data = results["dataset"]
    clips = ", ".join(f"{split} {n}" for split, n in data["clips"].items())
    return made_with(results, [("Clips", clips), ("Data set", data["name"]), *identified(data)])


def failures(results: Figures) -> Markup:
    """Codecs that could not be loaded, and clips that could not be reconstructed."""
    failed = [(row["model"], (row["split"], row["id"]), row["reason"]) for row in results.get("failures") or ()]
    tables = unloaded(results, "codec") + failures_table("Clips without a reconstruction", ("split", "clip"), failed)
    return Markup(tables) or tag("p", "Every codec was loaded, and every clip was reconstructed.")


def definitions(results: Figures) -> Markup:
    """What each metric is, and how means, intervals and p-values were computed."""
    entries = []
    for name, metric in results["metrics"].items():
        low, high = metric["value_range"]
        ends = (
            f"{'-∞' if low is None else figures.number(low, 1)} to {'∞' if high is None else figures.number(high, 1)}"
        )
        facts = " · ".join(
            (
                f"{figures.ARROWS[metric['direction']]} {figures.BETTER[metric['direction']]}",
                f"unit: {metric['unit']}",
                f"range: {ends}",
                f"version {metric['version']}",
            )
        )
        entries.append(
            tag(
                "div",
                tag("dt", name),
                tag("dd", metric["definition"], tag("p", facts, class_="muted small")),
                metric.get("judge") and tag("dd", "Judge: ", metric["judge"], class_="muted small"),
                tag("dd", "Source: ", metric["source"], class_="muted small"),
            )
        )
    return Markup(
        tag("dl", entries, class_="definitions")
        + tag("h3", "How the numbers are made")
        + definition_list(_methods(results).items())
    )


def _methods(results: Figures) -> dict[str, str]:
    """How means, intervals and p-values were computed, with the constants of the run where it tells them."""
    constants = results.get("statistics") or {}
    share = f"more than {constants['max_failed_share']:.0%}" if "max_failed_share" in constants else "too many"
    drawn = f"{constants['bootstrap_resamples']:,} times " if "bootstrap_resamples" in constants else ""
    seed = f"seed {constants['seed']}" if "seed" in constants else "a fixed seed"
    test = "a two-sided sign-flip test of the clips' differences"
    if "sign_flips" in constants and "exact_up_to_clips" in constants:
        test += (
            f" (every combination of signs for up to {constants['exact_up_to_clips']} clips, else "
            f"{constants['sign_flips']:,} drawn ones, {seed})"
        )
    floor = {
        "Originals": "What the recogniser hears in the clips themselves against their text, over the same clips: the "
        "floor of a codec's errors. They are in no comparison, and no clip is left out for them. Against what is heard "
        "in the original (dwer), the originals have no errors by definition."
    }
    return {
        "Means": "Over the clips on which every compared codec has a value, so that they compare; n says how many. "
        "A metric that weights its clips, as a word error rate does by words, has a weighted mean.",
        "Refused means": f"A codec of which {share} of the clips have no value of a metric gets no mean of it, but the "
        "reason.",
        "Intervals": f"95% percentile bootstrap: the clips are drawn {drawn}with replacement ({seed}).",
        "Comparisons": "Each codec is paired with the baseline clip by clip; the difference is the codec minus the "
        f"baseline, its p-value is that of {test}, adjusted by Holm's method for the codecs compared in that metric. "
        f"▲ and ▼ mark an adjusted p below {figures.SIGNIFICANT}.",
        "Bounds": "They code nothing: the clip itself, or the clip after resampling, scored like a codec's audio.",
        **(floor if results.get("originals") else {}),
    }
