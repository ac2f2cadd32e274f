"""Codec-SUPERB's multi-scale mel distance, and the spectra and the L1 that its STFT distance shares with it.

Letters: S samples, F frames, W window, K frequency bins.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from soundcodec_llmcodec.measures.mel_filters import mel_filters

SCALES = ((150, 2048), (80, 512))  # (mel bands, window in samples)
LARGEST_WINDOW = SCALES[0][1]
FLOOR = 1e-5
_FRAMES_AT_ONCE = 1024
# numpy has a fast natural logarithm of float32, and log10(x ** 2) is it times this.
_LOG10_SQUARED = 2 / math.log(10)


@dataclass(frozen=True)
class MagnitudeSpectrogram:
    """A spectrogram's magnitudes float32 (F, K), and the natural logarithm of what of them is above FLOOR."""

    values: np.ndarray
    log: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> MagnitudeSpectrogram:
        """Magnitudes with their logarithm."""
        return cls(values, np.log(np.maximum(values, np.float32(FLOOR))))


@functools.cache
def hann(window: int) -> np.ndarray:
    """The periodic Hann window, float32 (W,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


def framed(samples: np.ndarray, window: int) -> np.ndarray:
    """A view (F, W) of samples (S,): every window / 4, centred with reflection, no window function applied.

    Raises ValueError for window / 2 samples or fewer, which cannot be reflected.
    """
    if len(samples) <= window // 2:
        raise ValueError(f"{len(samples)} samples are too few for a window of {window}: give more than {window // 2}")
    padded = np.pad(samples, window // 2, mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, window)[:: window // 4]


def magnitude(samples: np.ndarray, window: int) -> np.ndarray:
    """|STFT| float32 (F, K) of samples (S,), K = window / 2 + 1: the frames of `framed` under a Hann window."""
    frames = framed(samples, window)
    values = np.empty((len(frames), window // 2 + 1), np.float32)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        values[part] = np.abs(np.fft.rfft(frames[part] * hann(window), axis=1))
    return values


def mel_magnitude(magnitudes: np.ndarray, rate: int, bands: int) -> np.ndarray:
    """Magnitudes float32 (F, K) in `bands` mel bands (F, bands) from 0 to rate / 2."""
    return magnitudes @ mel_filters(rate, 2 * (magnitudes.shape[1] - 1), bands).T


def magnitude_distance(reference: MagnitudeSpectrogram, estimate: MagnitudeSpectrogram) -> float:
    """L1 of log10(max(M, FLOOR) ** 2) plus L1 of M, each a mean over all bins; magnitudes of one shape."""
    return _LOG10_SQUARED * _l1(reference.log, estimate.log) + _l1(reference.values, estimate.values)


def mel_distance(reference: np.ndarray, estimate: np.ndarray, rate: int) -> float:
    """The distance of two signals float32 (S,): `magnitude_distance` of their mel bands, summed over SCALES.

    Raises ValueError for signals of 1,024 samples or fewer.
    """
    total = 0.0
    for bands, window in SCALES:
        first, second = (
            MagnitudeSpectrogram.of(mel_magnitude(magnitude(signal, window), rate, bands))
            for signal in (reference, estimate)
        )
        total += magnitude_distance(first, second)
    return total


def too_short(n_samples: int, largest_window: int = LARGEST_WINDOW) -> str | None:
    """Why signals of so many samples have no distance, if so: the largest window cannot be centred on them."""
    if n_samples > largest_window // 2:
        return None
    return f"{n_samples} samples are too few: more than {largest_window // 2} are needed"


def _l1(first: np.ndarray, second: np.ndarray) -> float:
    difference = first - second
    return float(np.mean(np.abs(difference, out=difference), dtype=np.float64))
