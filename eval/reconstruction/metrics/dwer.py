"""Word error rate against what the same recogniser hears in the original, for clips without text."""

from __future__ import annotations

import functools

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics import words
from eval.reconstruction.metrics.capping import capped, uncapped
from eval.reconstruction.metrics.recogniser import RECOGNISERS, Recogniser, metric_name
from eval.reconstruction.metrics.wer import unusable_words


def _compute(recogniser: Recogniser, reference: Signal, estimate: Signal) -> Score:
    unusable = unusable_words(recogniser, reference)
    if unusable:
        return Score(reason=unusable)
    reference_words = words.words_of(recogniser.text(reference, reference.lang))
    if not reference_words:
        return Score(reason="the recogniser heard no words in the reference")
    return words.error_rate(reference_words, words.words_of(recogniser.text(estimate, reference.lang)))


def _metric(recogniser: Recogniser) -> Metric:
    return Metric(
        name=metric_name("dwer", recogniser),
        definition=(
            "substitutions, insertions and deletions over words heard in the reference, between what "
            f"{recogniser.about} hears in the reference and in the estimate; {words.RULES}; means are weighted by the "
            "words heard in the reference"
        ),
        unit="1",
        direction="lower",
        value_range=(0.0, None),
        source="differential word error rate; OpenAI Whisper",
        version=1,
        compute=functools.partial(_compute, recogniser),
        extra=recogniser.extra,
        needs=recogniser.needs,
        judge=recogniser.judge,
    )


_RATES = tuple(_metric(each) for each in RECOGNISERS)
METRICS = (*map(uncapped, _RATES), *map(capped, _RATES))
