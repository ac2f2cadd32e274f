"""Spectrograms that several metrics need of a signal, computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from eval.harness.metric import Signal
from eval.harness.score import Score
from soundcodec_llmcodec.measures import mel_distance
from soundcodec_llmcodec.measures.mel_distance import MagnitudeSpectrogram


def spectrogram(signal: Signal, key: Hashable, magnitude: Callable[[], np.ndarray]) -> MagnitudeSpectrogram:
    """A spectrogram with its logarithm, kept with the signal under `key`."""
    return signal.derived(key, lambda: MagnitudeSpectrogram.of(magnitude()))


def too_short(signal: Signal, largest_window: int) -> Score | None:
    """The reason for a clip that the largest window cannot be centred on."""
    reason = mel_distance.too_short(len(signal), largest_window)
    return None if reason is None else Score(reason=reason)
