"""The sections of words: where the numbers are from, what failed, what the numbers mean."""

from __future__ import annotations

from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.run_sections import definition_list, identified, made_with, unloaded
from eval.harness.pages.run_sections import failures as failures_table
from eval.salmon.salmon_table import HOW
from soundcodec_llmcodec.pages.markup import Markup, tag

Figures = dict[str, Any]


def provenance(results: Figures) -> Markup:
    """Where the numbers are from: suite, date, machine, command line, versions."""
    suite = results["suite"]
    pairs = ", ".join(f"{part['title']} {part['pairs']}" for part in results["parts"].values())
    return made_with(results, [("Pairs", pairs), ("Suite", suite["name"]), *identified(suite)])


def failures(results: Figures) -> Markup:
    """Models that could not be loaded, and pairs that could not be scored."""
    titles = {part: about["title"] for part, about in results["parts"].items()}
    failed = [(row["model"], (titles[row["part"]], row["id"]), row["reason"]) for row in results.get("failures") or ()]
    tables = unloaded(results, "model") + failures_table("Pairs without scores", ("part", "pair"), failed)
    return Markup(tables) or tag("p", "Every model was loaded, and every pair was scored.")


def definitions(results: Figures) -> Markup:
    """What each part is, and how scores, intervals and p-values were computed."""
    parts = [
        tag("div", tag("dt", about["title"]), tag("dd", about["about"] or part, tag("p", part, class_="muted small")))
        for part, about in results["parts"].items()
    ]
    return Markup(
        tag("p", "In every pair one recording is coherent and the other is not. They differ in:")
        + tag("dl", parts, class_="definitions")
        + tag("h3", "How the numbers are made")
        + definition_list(_methods(results).items())
    )


def _methods(results: Figures) -> dict[str, str]:
    constants = results.get("statistics") or {}
    share = f"more than {constants['max_failed_share']:.0%}" if "max_failed_share" in constants else "too many"
    resamples = f"{constants['bootstrap_resamples']:,} " if "bootstrap_resamples" in constants else ""
    seed = f" (seed {constants['seed']})" if "seed" in constants else ""
    flips = (
        f", {constants['sign_flips']:,} draws{seed}, all combinations where there are few pairs" if constants else ""
    )
    score = HOW[results["normalize"]]
    return {
        "Score": "The recording is coded, and a language model over the codec's tokens gives each token's "
        "log-likelihood among the codec's tokens: what it gives to other tokens (text, begin, end) is left out. A "
        f"score is their mean (“a token”) or their sum (“summed”); this run was asked for: {score}. Of recordings of "
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
