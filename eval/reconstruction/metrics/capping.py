"""Error rates as they are, and with each clip at most 1, each under a name of its own."""

from __future__ import annotations

import functools
from dataclasses import replace

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score

# What legends say of either kind.
UNCAPPED_NOTE = "not capped: a clip is above 1 where more was heard than said"
CAPPED_NOTE = "each clip at most 1"


def uncapped(metric: Metric) -> Metric:
    """An error rate that says that it is not capped."""
    return replace(metric, definition=f"{metric.definition}; {UNCAPPED_NOTE}", note=UNCAPPED_NOTE)


def capped(metric: Metric) -> Metric:
    """An error rate with each clip at most 1: `wer_capped@whisper-base` of `wer@whisper-base`.

    A recogniser that repeats itself makes many errors a word, so that a few clips decide a mean; here each of them
    costs no more than all of its words. Reasons, weights and the originals' row are those of the metric.
    """
    name, at, recogniser = metric.name.partition("@")
    return replace(
        metric,
        name=f"{name}_capped{at}{recogniser}",
        definition=f"{metric.definition}; {CAPPED_NOTE}",
        value_range=(0.0, 1.0),
        compute=functools.partial(_at_most_one, metric),
        note=CAPPED_NOTE,
    )


def _at_most_one(metric: Metric, reference: Signal, estimate: Signal) -> Score:
    score = metric.compute(reference, estimate)
    return score if score.value is None else replace(score, value=min(score.value, 1.0))
