"""Word error rate against what the same recogniser hears in the original, for clips without text."""

from __future__ import annotations

from eval.metrics import recogniser, words
from eval.metrics.base import Metric, Score, Signal


def _compute(reference: Signal, estimate: Signal) -> Score:
    unusable = recogniser.unusable(reference)
    if unusable:
        return Score(reason=unusable)
    said = recogniser.heard(reference, reference.lang)
    if not said:
        return Score(reason="the recogniser heard no words in the reference")
    return words.error_rate(said, recogniser.heard(estimate, reference.lang))


METRIC = Metric(
    name="dwer",
    definition=(
        "substitutions, insertions and deletions over words heard in the reference, between what "
        f"{recogniser.NAME} hears in the reference and in the estimate; {words.RULES}; means are weighted by the words "
        "heard in the reference"
    ),
    unit="1",
    direction="lower",
    value_range=(0.0, None),
    source="differential word error rate; OpenAI Whisper",
    version=1,
    compute=_compute,
    extra=recogniser.EXTRA,
    needs=recogniser.NEEDS,
)
