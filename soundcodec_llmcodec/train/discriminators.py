"""Discriminators over periods and over STFTs, with hinge losses and feature matching.

Letters: B batch, S samples, T analysis frames, K frequency bins.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

PERIODS = (2, 3, 5, 7, 11)
WINDOWS = (1024, 512, 256)
Features = list[Tensor]


def _conv(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Module:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return weight_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding))


class PeriodDiscriminator(nn.Module):
    """Judges a wave folded into rows of one period (HiFi-GAN)."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = (1, channels, 2 * channels, 4 * channels, 8 * channels)
        self.convs = nn.ModuleList(_conv(a, b, (5, 1), (3, 1)) for a, b in itertools.pairwise(widths))
        self.last = _conv(widths[-1], 1, (3, 1), (1, 1))

    def forward(self, waves: Tensor) -> Features:
        """(B, S) waves to every layer's output, the judgement last."""
        rest = -waves.shape[1] % self.period
        folded = functional.pad(waves[:, None], (0, rest), mode="reflect").unflatten(2, (-1, self.period))
        return _through(folded, self.convs, self.last)


class STFTDiscriminator(nn.Module):
    """Judges the complex STFT at one window (EnCodec, DAC)."""

    window: Tensor

    def __init__(self, window: int, channels: int) -> None:
        super().__init__()
        self.size = window
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        strides = ((1, 1), (1, 2), (1, 2), (1, 2))
        self.convs = nn.ModuleList(
            _conv(2 if i == 0 else channels, channels, (3, 9), stride) for i, stride in enumerate(strides)
        )
        self.convs.append(_conv(channels, channels, (3, 3), (1, 1)))
        self.last = _conv(channels, 1, (3, 3), (1, 1))

    def forward(self, waves: Tensor) -> Features:
        """(B, S) waves to every layer's output, the judgement last."""
        with torch.autocast(waves.device.type, enabled=False):
            spectrum = torch.stft(
                waves.float(), self.size, self.size // 4, window=self.window, center=True, return_complex=True
            )
        planes = torch.view_as_real(spectrum).permute(0, 3, 2, 1)  # (B, 2, T, K)
        return _through(planes, self.convs, self.last)


class Discriminators(nn.Module):
    """All of them; waves are brought to zero mean and a peak of 0.8 first (as in DAC), so that level tells nothing."""

    def __init__(self, channels: int = 32, periods: Sequence[int] = PERIODS, windows: Sequence[int] = WINDOWS) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            [PeriodDiscriminator(period, channels) for period in periods]
            + [STFTDiscriminator(window, channels) for window in windows]
        )

    def forward(self, waves: Tensor) -> list[Features]:
        """(B, S) waves to the features of every discriminator."""
        centred = waves - waves.mean(dim=1, keepdim=True)
        scaled = 0.8 * centred / centred.abs().amax(dim=1, keepdim=True).clamp_min(1e-3)
        return [part(scaled) for part in self.parts]


def discriminator_loss(real: list[Features], fake: list[Features]) -> Tensor:
    """Hinge loss, mean over discriminators: max(0, 1 - D(real)) + max(0, 1 + D(fake))."""
    losses = [
        functional.relu(1 - r[-1].float()).mean() + functional.relu(1 + f[-1].float()).mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(losses).mean()


def adversarial_loss(fake: list[Features]) -> Tensor:
    """The generator's side of the hinge: -D(fake), mean over discriminators."""
    return torch.stack([-features[-1].float().mean() for features in fake]).mean()


def feature_matching_loss(real: list[Features], fake: list[Features]) -> Tensor:
    """Mean over layers of L1 between features, relative to the real ones' mean size."""
    losses = []
    for wanted, got in zip(real, fake, strict=True):
        for r, f in zip(wanted[:-1], got[:-1], strict=True):
            r = r.detach().float()
            losses.append((r - f.float()).abs().mean() / r.abs().mean().clamp_min(1e-3))
    return torch.stack(losses).mean()


def _through(x: Tensor, convs: nn.ModuleList, last: nn.Module) -> Features:
    features = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), 0.1)
        features.append(x)
    return [*features, last(x)]
