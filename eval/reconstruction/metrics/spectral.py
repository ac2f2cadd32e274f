"""The distance of two magnitude spectrograms that mel and stft share."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from eval.reconstruction.metrics.metric import Score, Signal

FLOOR = 1e-5
# numpy has a fast natural logarithm of float32, and log10(x ** 2) is it times this.
_LOG10_SQUARED = 2 / math.log(10)


@dataclass(frozen=True)
class Spectrogram:
    """Magnitudes float32 (F, bins), and the natural logarithm of what of them is above FLOOR."""

    magnitude: np.ndarray
    log: np.ndarray


def spectrogram(signal: Signal, key: Hashable, magnitude: Callable[[], np.ndarray]) -> Spectrogram:
    """A spectrogram with its logarithm, kept with the signal under `key`."""

    def make() -> Spectrogram:
        values = magnitude()
        return Spectrogram(values, np.log(np.maximum(values, np.float32(FLOOR))))

    return signal.derived(key, make)


def distance(reference: Spectrogram, estimate: Spectrogram) -> float:
    """L1 of log10(max(M, FLOOR) ** 2) plus L1 of M, each a mean over all bins; spectrograms of one shape."""
    return _LOG10_SQUARED * _l1(reference.log, estimate.log) + _l1(reference.magnitude, estimate.magnitude)


def _l1(first: np.ndarray, second: np.ndarray) -> float:
    difference = first - second
    return float(np.mean(np.abs(difference, out=difference), dtype=np.float64))


def too_short(signal: Signal, largest_window: int) -> Score | None:
    """The reason for a clip that the largest window cannot be centred on."""
    if len(signal) > largest_window // 2:
        return None
    return Score(reason=f"{len(signal)} samples are too few: more than {largest_window // 2} are needed")
