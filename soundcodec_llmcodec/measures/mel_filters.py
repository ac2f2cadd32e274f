"""Mel filters: the triangles by which magnitudes become bands (Slaney's, as in librosa and Whisper).

Letters: M bands, K frequency bins.
"""

from __future__ import annotations

import functools
import math

import numpy as np

# Slaney's scale: linear up to 1 kHz, logarithmic above.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1_000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0


@functools.cache
def mel_filters(sample_rate: int, n_fft: int, bands: int) -> np.ndarray:
    """Weights (M, K) float32, K = n_fft / 2 + 1, of `bands` triangles of equal area from 0 Hz to half the rate.

    One array for all callers, which cannot be written to.
    """
    top_hz = sample_rate / 2
    above_break = math.log(max(top_hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    mels = np.linspace(0.0, min(top_hz, _BREAK_HZ) / _HZ_PER_MEL + above_break, bands + 2)
    edges = np.where(mels < _BREAK_MEL, mels * _HZ_PER_MEL, _BREAK_HZ * np.exp((mels - _BREAK_MEL) * _LOG_STEP))
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    slopes = edges[:, None] - bins
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    triangles = np.maximum(np.minimum(rising, falling), 0.0)
    filters = (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    filters.flags.writeable = False
    return filters
