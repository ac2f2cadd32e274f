"""Where a word ends: from the data, or from the recogniser's alignment of the known text."""

from __future__ import annotations

import numpy as np

from eval.reconstruction.metrics.words import errors, words_of
from eval.salmon.build import recognised_words
from eval.salmon.build.built_pairs import RATE
from eval.salmon.build.material import Utterance
from eval.salmon.build.splicing import quietest

# Alignments are some 50 ms off; a cut hurts least in the quietest 10 ms within this distance (usually the closure of
# a consonant). Measured by the words heard in splices: 60 ms keeps more of them than none, 100 ms or 150 ms.
NEAR_S = 0.060


class CutError(ValueError):
    """An utterance that cannot be cut between its words."""


def middle(words: tuple[str, ...]) -> int:
    """How many of the words the first half has: half of them, and the odd one too."""
    return (len(words) + 1) // 2


def cut_of(utterance: Utterance) -> int:
    """The sample at which the utterance's second half begins. Raises CutError where its words cannot be found."""
    text_words = words_of(utterance.text or "")
    if len(text_words) < 2:
        raise CutError(f"{utterance.name}: a text of two words or more is needed to cut between them")
    times = _given(utterance, text_words) if utterance.words is not None else _aligned(utterance, text_words)
    index = middle(text_words)
    boundary = (times[index - 1][1] + times[index][0]) / 2
    seconds = len(utterance.samples) / RATE
    if not NEAR_S < boundary < seconds - NEAR_S:
        raise CutError(f"{utterance.name}: the middle of its words is at {boundary:.2f} s of {seconds:.2f} s")
    return quietest(utterance.samples, RATE, boundary - NEAR_S, boundary + NEAR_S)


def misheard(samples: np.ndarray, text: str) -> int:
    """Word errors of the recogniser against the text; samples are int16 or float (S,) at RATE, English."""
    ready = samples.astype(np.float32) / (32768.0 if samples.dtype == np.int16 else 1.0)
    return errors(words_of(text), recognised_words.recognised(ready))


def _given(utterance: Utterance, text_words: tuple[str, ...]) -> list[tuple[float, float]]:
    timed = [(start, end, word) for start, end, text in utterance.words or () for word in words_of(text)]
    if tuple(word for _, _, word in timed) != text_words:
        raise CutError(f"{utterance.name}: its words are not those of its text {utterance.text!r}")
    return [(start, end) for start, end, _ in timed]


def _aligned(utterance: Utterance, text_words: tuple[str, ...]) -> list[tuple[float, float]]:
    if (utterance.lang or "en") != "en":
        raise CutError(f"{utterance.name}: no column 'words', and the recogniser knows English only")
    timed = recognised_words.aligned(utterance.samples.astype(np.float32), text_words)
    if timed is None:
        raise CutError(f"{utterance.name}: the recogniser could not align its text {utterance.text!r}")
    return timed
