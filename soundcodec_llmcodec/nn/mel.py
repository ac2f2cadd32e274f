"""Mel filters: the triangles by which magnitudes become bands (Slaney's, as in librosa and Whisper).

Letters: M bands, K frequency bins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Slaney's scale: linear up to 1 kHz, logarithmic above.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1_000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0


def mel_filters(sample_rate: int, n_fft: int, bands: int) -> Tensor:
    """Weights (M, K) float32, K = n_fft / 2 + 1, of `bands` triangles of equal area from 0 Hz to half the rate.

    On the CPU whatever the default device: constants that no checkpoint holds are there in a model without memory too.
    """
    top = _BREAK_MEL + math.log(sample_rate / 2 / _BREAK_HZ) / _LOG_STEP
    mels = torch.linspace(0.0, top, bands + 2, dtype=torch.float64, device="cpu")
    edges = torch.where(mels < _BREAK_MEL, mels * _HZ_PER_MEL, _BREAK_HZ * ((mels - _BREAK_MEL) * _LOG_STEP).exp())
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device="cpu") * (sample_rate / n_fft)
    slopes = edges[:, None] - bins
    widths = edges.diff()[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    triangles = torch.minimum(rising, falling).clamp_min(0.0)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).float()
