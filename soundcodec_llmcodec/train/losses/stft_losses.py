"""Losses on STFT magnitudes at several resolutions, without and with phase.

Letters: B batch, K frequency bins, T analysis frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train.losses.relative_error import relative_error
from soundcodec_llmcodec.train.losses.shared_spectra import Resolution, Spectra, resolution

STFT_WINDOWS = (2048, 1024, 512)
MAGNITUDE_FLOOR = 1e-5
# The RMS of a wave below which convergence counts as if it were as loud as this: -50 dBFS.
RMS_FLOOR = 3e-3
# Phasors of bins below this shrink with the bin: their phase says nothing, and its gradient has no bound.
PHASOR_FLOOR = 1e-3


class MultiResolutionSTFTLoss(nn.Module):
    """Mean over windows of spectral convergence plus L1 of ln |X| (Parallel WaveGAN), X the STFT with hop window / 4.

    Convergence is | |X| - |X'| | / | |X| | of each clip (Frobenius norms; `relative_error` on nearly silent clips), the
    logarithm of magnitudes of at least 1e-5.
    """

    def __init__(self, windows: Sequence[int] = STFT_WINDOWS) -> None:
        super().__init__()
        self.windows: tuple[Resolution, ...] = tuple(resolution(window) for window in windows)

    def forward(self, target: Spectra, estimate: Spectra, windows: Sequence[Resolution] | None = None) -> Tensor:
        """Spectra of target and estimate to a scalar, at some of its windows (None: at all)."""
        losses = []
        for key in self.windows if windows is None else windows:
            x, y = target.magnitude(key), estimate.magnitude(key)
            losses.append(_convergence(x, y, key[0]) + _log_distance(x, y))
        return torch.stack(losses).mean()


class ComplexSTFTLoss(nn.Module):
    """Mean over windows of spectral convergence, L1 of ln |X|, and 0.5 times L1 of unit phasors (LLM-Codec's).

    The first two as in `MultiResolutionSTFTLoss`. The L1 of phasors u = X / |X| is the mean over real and imaginary
    parts of |u - u'|, each bin counting alike; phasors of bins below 1e-3 are shorter (X / 1e-3). `PhaseLoss` weighs
    bins by their energy instead.
    """

    def __init__(self, windows: Sequence[int] = STFT_WINDOWS, phase_weight: float = 0.5) -> None:
        super().__init__()
        self.windows: tuple[Resolution, ...] = tuple(resolution(window) for window in windows)
        self.phase_weight = phase_weight

    def forward(self, target: Spectra, estimate: Spectra, windows: Sequence[Resolution] | None = None) -> Tensor:
        """Spectra of target and estimate to a scalar, at some of its windows (None: at all)."""
        losses = []
        for key in self.windows if windows is None else windows:
            x, y = target.magnitude(key), estimate.magnitude(key)
            turned = torch.view_as_real(_phasors(target[key], x) - _phasors(estimate[key], y)).abs().mean()
            losses.append(_convergence(x, y, key[0]) + _log_distance(x, y) + self.phase_weight * turned)
        return torch.stack(losses).mean()


def _convergence(target: Tensor, estimate: Tensor, window: int) -> Tensor:
    """Relative Frobenius distance of magnitudes (B, K, T), each clip's by itself, mean over clips."""
    bins = math.sqrt(target.shape[1] * target.shape[2])
    error = torch.linalg.vector_norm(target - estimate, dim=(1, 2)) / bins
    size = torch.linalg.vector_norm(target, dim=(1, 2)) / bins
    # White noise of an RMS of r has an RMS of r * sqrt(3 / 8 * window) in a bin: 3 / 8 is the mean square of Hann's.
    return relative_error(error, size, RMS_FLOOR * math.sqrt(0.375 * window)).mean()


def _log_distance(target: Tensor, estimate: Tensor) -> Tensor:
    return (target.clamp_min(MAGNITUDE_FLOOR).log() - estimate.clamp_min(MAGNITUDE_FLOOR).log()).abs().mean()


def _phasors(spectrum: Tensor, size: Tensor) -> Tensor:
    return spectrum / size.clamp_min(PHASOR_FLOOR)
