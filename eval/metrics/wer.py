"""Word error rate of a speech recogniser against what was said."""

from __future__ import annotations

from eval.metrics import recogniser, words
from eval.metrics.base import Metric, Score, Signal


def _compute(reference: Signal, estimate: Signal) -> Score:
    if reference.text is None:
        return Score(reason="the data set has no text of the clip")
    said = words.words_of(reference.text)
    if not said:
        return Score(reason="the text of the clip has no words")
    unusable = recogniser.unusable(reference)
    if unusable:
        return Score(reason=unusable)
    return words.error_rate(said, recogniser.heard(estimate, reference.lang))


METRIC = Metric(
    name="wer",
    definition=(
        f"substitutions, insertions and deletions over words said, between the clip's text and what {recogniser.NAME} "
        f"hears in the estimate; {words.RULES}; means are weighted by the words said"
    ),
    unit="1",
    direction="lower",
    value_range=(0.0, None),
    source="word error rate; OpenAI Whisper",
    version=1,
    compute=_compute,
    extra=recogniser.EXTRA,
    needs=recogniser.NEEDS,
)
