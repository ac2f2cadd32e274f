"""What the recogniser hears in a recording, and when it hears each word of a known text. English."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from eval.reconstruction.metrics.recogniser import TINY, transcribed
from eval.reconstruction.metrics.words import words_of
from soundcodec_llmcodec.extras import missing


def check() -> None:
    """Raise ImportError, naming the extra, where the recogniser cannot be had."""
    if TINY.missing:
        raise ImportError(
            f"{missing('finding words', ', '.join(TINY.missing), TINY.extra)} "
            "(or give the data a column 'words': a list of {start, end, word})"
        )


def recognised(samples: np.ndarray) -> tuple[str, ...]:
    """The words heard in samples float32 (S,) at 16 kHz."""
    return words_of(transcribed(TINY.model(), samples, "en"))


def aligned(samples: np.ndarray, words: tuple[str, ...]) -> list[tuple[float, float]] | None:
    """Start and end in s of each of `words`, said in samples float32 (S,) at 16 kHz; None where they cannot be told.

    The text is forced onto the recording (Whisper's cross-attention), so that misheard words have their times too.
    """
    from faster_whisper.transcribe import pad_or_trim

    model = TINY.model()
    features = model.feature_extractor(samples)
    encoded = model.encode(pad_or_trim(features))
    tokens = _tokenizer().encode(" " + " ".join(words).capitalize() + ".")
    alignment = model.find_alignment(_tokenizer(), [tokens], encoded, features.shape[-1])[0]
    timed = [(float(word["start"]), float(word["end"])) for word in alignment if words_of(word["word"])]
    return timed if len(timed) == len(words) else None


@functools.cache
def _tokenizer() -> Any:
    from faster_whisper.tokenizer import Tokenizer

    model = TINY.model()
    return Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en")
