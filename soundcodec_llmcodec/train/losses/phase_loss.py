"""The phase by itself, where there is energy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train.losses.shared_spectra import Resolution, Spectra, magnitude, resolution
from soundcodec_llmcodec.train.losses.stft_losses import PHASOR_FLOOR, STFT_WINDOWS


class PhaseLoss(nn.Module):
    """Mean over windows of |u - v|, u and v the unit phasors, weighted by the target's share of each clip's magnitude.

    The weight keeps bins without energy, whose phase says nothing, out of the loss.
    """

    def __init__(self, windows: Sequence[int] = STFT_WINDOWS) -> None:
        super().__init__()
        self.windows: tuple[Resolution, ...] = tuple(resolution(window) for window in windows)

    def forward(self, target: Spectra, estimate: Spectra, windows: Sequence[Resolution] | None = None) -> Tensor:
        """Spectra of target and estimate to a scalar in [0, 2], at some of its windows (None: at all)."""
        losses = []
        for key in self.windows if windows is None else windows:
            x, y = target[key], estimate[key]
            size = target.magnitude(key)
            # The floor bounds the gradient where a bin holds next to nothing.
            difference = x / size.clamp_min(PHASOR_FLOOR) - y / estimate.magnitude(key).clamp_min(PHASOR_FLOOR)
            weight = size / size.sum(dim=(1, 2), keepdim=True)
            losses.append((weight * magnitude(difference)).sum(dim=(1, 2)).mean())
        return torch.stack(losses).mean()
