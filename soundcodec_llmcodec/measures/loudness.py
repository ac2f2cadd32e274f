"""Loudness as ITU-R BS.1770 weights it, measured on spectra: no gate, one channel."""

from __future__ import annotations

import math

import numpy as np

WINDOW_S = 0.1
FRAMES_AT_ONCE = 512
_OFFSET = -0.691
# The two filters that BS.1770 gives for 48 kHz: a shelf for the head, and a high-pass.
_FILTERS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)


def loudness(samples: np.ndarray, rate: int) -> float:
    """Of samples (S,), in LUFS, over the whole clip; -inf for silence.

    The energies of overlapping windows, weighted by frequency, add up to that of the filtered clip (Parseval).
    """
    window = 1 << round(math.log2(WINDOW_S * rate))
    hop = window // 4
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    padded = np.pad(np.asarray(samples, np.float32), window)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    # All but the two ends of a real signal's spectrum stand for two bins.
    weights = k_weights(np.arange(window // 2 + 1) * rate / window) * 2
    weights[[0, -1]] /= 2
    energy = 0.0
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        spectra = np.fft.rfft(frames[start : start + FRAMES_AT_ONCE] * hann, axis=1)
        energy += float(((np.abs(spectra) ** 2).sum(axis=0, dtype=np.float64) * weights).sum())
    mean_square = energy * hop / (window * float(np.sum(hann.astype(np.float64) ** 2)) * len(samples))
    return _OFFSET + 10 * math.log10(mean_square) if mean_square > 0 else -math.inf


def k_weights(hertz: np.ndarray) -> np.ndarray:
    """What K-weighting multiplies power at these frequencies with; above 24 kHz as at 24 kHz."""
    z = np.exp(-2j * np.pi * np.minimum(hertz, 24_000) / 48_000)
    weights = np.ones(len(hertz))
    for above, below in _FILTERS:
        weights *= np.abs(np.polyval(above[::-1], z) / np.polyval(below[::-1], z)) ** 2
    return weights
