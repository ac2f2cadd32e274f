"""Word and character error rates of a speech recogniser against what was said."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics import words
from eval.reconstruction.metrics.capping import capped, uncapped
from eval.reconstruction.metrics.recogniser import RECOGNISERS, Recogniser, language_of, metric_name

Unit = Literal["word", "character"]
_SPLIT: dict[Unit, Callable[[str], tuple[str, ...]]] = {"word": words.words_of, "character": words.characters_of}


def _compute(recogniser: Recogniser, unit: Unit, reference: Signal, estimate: Signal) -> Score:
    if reference.text is None:
        return Score(reason="the data set has no text of the clip")
    split = _SPLIT[unit]
    reference_words = split(reference.text)
    if not reference_words:
        return Score(reason="the text of the clip has no words")
    unusable = unusable_words(recogniser, reference) if unit == "word" else recogniser.unusable(reference)
    if unusable:
        return Score(reason=unusable)
    return words.error_rate(reference_words, split(recogniser.text(estimate, reference.lang)))


def unusable_words(recogniser: Recogniser, reference: Signal) -> str | None:
    """Why the words of a clip cannot be counted, if so."""
    language = language_of(reference.lang)
    if language in words.UNSPACED:
        return f"{language!r} is written without spaces between words; cer counts its characters"
    return recogniser.unusable(reference)


def _metric(recogniser: Recogniser, name: str, unit: Unit, source: str) -> Metric:
    counted = "words" if unit == "word" else "characters of words (without spaces)"
    return Metric(
        name=metric_name(name, recogniser),
        definition=(
            f"substitutions, insertions and deletions over {counted} said, between the clip's text and what "
            f"{recogniser.about} hears in the estimate; {words.RULES}; means are weighted by the {unit}s said"
        ),
        unit="1",
        direction="lower",
        value_range=(0.0, None),
        source=source,
        version=1,
        compute=functools.partial(_compute, recogniser, unit),
        extra=recogniser.extra,
        needs=recogniser.needs,
        judge=recogniser.judge,
        has_floor=True,
    )


_RATES = (
    *(_metric(each, "wer", "word", "word error rate; OpenAI Whisper") for each in RECOGNISERS),
    *(_metric(each, "cer", "character", "character error rate; OpenAI Whisper") for each in RECOGNISERS),
)
METRICS = (*map(uncapped, _RATES), *map(capped, _RATES))
