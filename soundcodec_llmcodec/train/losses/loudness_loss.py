"""L1 between loudnesses, which weighs what is heard above what is faint."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train.losses.mel_losses import MAGNITUDE_FLOOR, MultiScaleMelLoss
from soundcodec_llmcodec.train.losses.relative_error import relative_error
from soundcodec_llmcodec.train.losses.shared_spectra import Resolution, Spectra

LOUDNESS_SCALES = ((1024, 80), (512, 64))
# The mean root of a clip's mel magnitudes below which it counts as if it were as loud as this.
LOUDNESS_FLOOR = 0.02


class LoudnessLoss(nn.Module):
    """Mean over scales and clips of sum |sqrt(M) - sqrt(M')| over sum sqrt(M), M the target's mel magnitudes.

    Loudness grows about as intensity to the 0.23 (Zwicker, as in PESQ), nearly the root of the magnitude: unlike a
    log-mel distance, this one weighs what is heard above what is faint. A clip's level does not matter, unless it is
    nearly silent (`relative_error`).
    """

    def __init__(self, sample_rate: int, scales: Sequence[tuple[int, int]] = LOUDNESS_SCALES) -> None:
        super().__init__()
        self.mel = MultiScaleMelLoss(sample_rate, scales)
        self.windows = self.mel.windows

    def forward(self, target: Spectra, estimate: Spectra, windows: Sequence[Resolution] | None = None) -> Tensor:
        """Spectra of target and estimate to a scalar, at some of its windows (None: at all)."""
        losses = []
        for key in self.windows if windows is None else windows:
            x, y = (self.mel.bands(key, waves).clamp_min(MAGNITUDE_FLOOR).sqrt() for waves in (target, estimate))
            error, size = (x - y).abs().mean(dim=(1, 2)), x.mean(dim=(1, 2))
            losses.append(relative_error(error, size, LOUDNESS_FLOOR).mean())
        return torch.stack(losses).mean()
