"""Mel filters as tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from soundcodec_llmcodec.measures import mel_filters as numpy_filters


def mel_filters(sample_rate: int, n_fft: int, bands: int) -> Tensor:
    """Weights (M, K) float32 of M bands and K = n_fft / 2 + 1 frequency bins: Slaney's triangles of equal area.

    On the CPU whatever the default device: constants that no checkpoint holds are there in a model without memory too.
    """
    return torch.from_numpy(numpy_filters.mel_filters(sample_rate, n_fft, bands).copy())
