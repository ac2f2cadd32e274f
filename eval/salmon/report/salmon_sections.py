"""The sections of words: where the numbers are from, what failed, what the numbers mean."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.cells import Cell, TableColumn, TableRow, table
from eval.reconstruction.report.reconstruction_sections import identified, made_with
from eval.salmon.salmon_table import HOW
from soundcodec_llmcodec.pages.markup import Markup, breakable, join, tag

Figures = dict[str, Any]


def provenance(results: Figures) -> Markup:
    """Where the numbers are from: suite, date, machine, command line, versions."""
    suite = results["suite"]
    pairs = ", ".join(f"{facts['title']} {facts['pairs']}" for facts in results["parts"].values())
    return made_with(results, [("Pairs", pairs), ("Suite", suite["name"]), *identified(suite)])


def failures(results: Figures) -> Markup:
    """Models that could not be loaded, and pairs that could not be scored."""
    unloaded = [(model["name"], model["failure"]) for model in results["models"] if model["failure"]]
    failed = results.get("failures") or []
    parts = []
    if unloaded:
        columns = [
            TableColumn("model", is_text=True),
            TableColumn("why it could not be loaded", is_text=True, class_="reason"),
        ]
        rows = [
            TableRow([Cell(breakable(name), name.casefold(), class_="model"), Cell(why, why, class_="reason")])
            for name, why in unloaded
        ]
        parts.append(table(f"Models that could not be loaded: {len(unloaded)}", columns, [(None, "", rows)]))
    if failed:
        columns = [TableColumn(name, is_text=True) for name in ("model", "part", "pair", "reason")]
        rows = [
            TableRow(
                [
                    Cell(breakable(one["model"]), one["model"].casefold(), class_="model"),
                    *(Cell(text, text) for text in (results["parts"][one["part"]]["title"], one["id"])),
                    Cell(one["reason"], one["reason"], class_="reason"),
                ]
            )
            for one in failed
        ]
        parts.append(table(f"Pairs without scores: {len(failed)}", columns, [(None, "", rows)]))
    return join(parts) or tag("p", "Every model was loaded, and every pair was scored.")


def definitions(results: Figures) -> Markup:
    """What each part is, and how scores, intervals and p-values were computed."""
    parts = [
        tag("div", tag("dt", facts["title"]), tag("dd", facts["about"] or part, tag("p", part, class_="muted small")))
        for part, facts in results["parts"].items()
    ]
    methods = [tag("div", tag("dt", name), tag("dd", text)) for name, text in _methods(results).items()]
    return (
        tag("p", "In every pair one recording is coherent and the other is not. They differ in:")
        + tag("dl", parts, class_="definitions")
        + tag("h3", "How the numbers are made")
        + tag("dl", methods, class_="definitions")
    )


def _methods(results: Figures) -> dict[str, str]:
    facts = results.get("statistics") or {}
    share = f"more than {facts['max_failed_share']:.0%}" if "max_failed_share" in facts else "too many"
    resamples = f"{facts['bootstrap_resamples']:,} " if "bootstrap_resamples" in facts else ""
    seed = f" (seed {facts['seed']})" if "seed" in facts else ""
    flips = f", {facts['sign_flips']:,} draws{seed}, all combinations where there are few pairs" if facts else ""
    asked = HOW[results["normalize"]]
    return {
        "Score": "The recording is coded, and a language model over the codec's tokens gives each token's "
        "log-likelihood among the codec's tokens: what it gives to other tokens (text, begin, end) is left out. A "
        f"score is their mean (“a token”) or their sum (“summed”); this run was asked for: {asked}. Of recordings of "
        "unequal length, a sum prefers the shorter, whatever it holds.",
        "Accuracy": "The share of pairs whose coherent recording has the larger score, in %. A tie counts as half. A "
        "model that knows nothing has 50.",
        "Which pairs": "Those on which every model has a score, so that accuracies compare; n says how many where some "
        f"are missing. A model without a score on {share} of a part's pairs is refused there.",
        "Intervals": "95%, by Wilson; ties enter as halves, which makes the interval rather too wide. That of the "
        "average takes the parts as independent (Zou and Donner 2008). With 200 pairs a part, less than about 7 points "
        "from chance cannot be told from it.",
        "Against chance": "A two-sided exact binomial test with half of the ties on either side; for the average a "
        f"sign-flip test{flips}. Adjusted by Holm's method for the models of a column; * marks an adjusted p below "
        f"{figures.SIGNIFICANT}.",
        "Against the baseline": "McNemar's exact test on the same pairs: of those where the two models' points differ, "
        "are as many better as worse? For the average a sign-flip test. The interval of a difference is from "
        f"{resamples}resamples of the pairs{seed}. ▲ and ▼ mark an adjusted p below {figures.SIGNIFICANT}.",
        "Average": "The mean of the parts in this run, each counting once whatever its size. It compares with nothing "
        "that has other parts.",
        "Published": "What others published on SALMon itself, by their own codecs, language models and training data. "
        "Never measured here.",
    }
