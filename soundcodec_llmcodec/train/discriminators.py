"""Discriminators over periods, scales and STFTs; `adversarial_losses` has what they learn from.

Letters: B batch, S samples, T analysis frames, K frequency bins.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from soundcodec_llmcodec.setting import setting
from soundcodec_llmcodec.train.wide_discriminators import WidePeriodDiscriminator, WideScaleDiscriminator, layer_outputs

Kind = Literal["period", "scale", "stft"]
KINDS: tuple[Kind, ...] = ("period", "scale", "stft")
Features = list[Tensor]  # every layer's output, the scores last
SLOPE = 0.1  # of leaky ReLUs below zero
# Spectra in which white noise of variance 1 has a mean square of 1, raised to this power from a magnitude of FAINT on.
# Raw ones span 100 dB: what tells a codec's output, the faint between and above harmonics, would hardly be seen.
COMPRESSION, FAINT = 0.3, 1e-3


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Which kinds there are, and their sizes.

    On a CPU "period" and "stft" cost about the same at 16 channels each, "scale" several times as much.
    """

    kinds: tuple[Kind, ...] = setting(
        ("period", "stft"),
        "period (HiFi-GAN), scale (MelGAN, HiFi-GAN: each at half the rate of the one before), stft (as in EnCodec)",
    )
    channels: int = setting(32, "channels of the first layer; the widest has eight times as many")
    stft_channels: int = setting(8, "channels of each layer of stft discriminators")
    periods: tuple[int, ...] = setting((2, 3, 5, 7, 11), "a period discriminator for each, samples")
    scales: int = setting(3, "number of scale discriminators")
    windows: tuple[int, ...] = setting((1024, 512, 256), "an stft discriminator for each, samples")
    design: Literal["light", "wide"] = setting(
        "light",
        "light: as above, on waves of one level; wide: as in LLM-Codec, period and scale with a layer more, the widest "
        "sixteen times channels, on waves as they are",
    )

    def __post_init__(self) -> None:
        if self.design not in ("light", "wide"):
            raise ValueError(f"design is one of light, wide, got {self.design!r}")
        if self.design == "wide" and "stft" in self.kinds:
            raise ValueError("the wide design has kinds period and scale only: leave out stft, or use design: light")
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"kinds takes some of {', '.join(KINDS)}, each once, got {self.kinds!r}")
        for name in ("channels", "stft_channels", "scales"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not self.periods or min(self.periods) < 2:
            raise ValueError(f"periods takes numbers of at least 2, got {self.periods!r}")
        if not self.windows or any(window < 16 or window % 4 for window in self.windows):
            raise ValueError(f"windows takes multiples of 4 from 16 on, got {self.windows!r}")


class PeriodDiscriminator(nn.Module):
    """Scores of a wave folded into rows of one period (HiFi-GAN)."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = self.shortest = period
        widths = (1, channels, 2 * channels, 4 * channels, 8 * channels)
        self.convs = nn.ModuleList(_conv2d(a, b, (5, 1), (3, 1)) for a, b in itertools.pairwise(widths))
        self.last = _conv2d(widths[-1], 1, (3, 1), (1, 1))

    def forward(self, waves: Tensor) -> Features:
        """(B, S) waves to every layer's output, the scores last."""
        rest = -waves.shape[1] % self.period
        folded = functional.pad(waves, (0, rest), mode="reflect").unflatten(1, (-1, self.period))
        # Channels last in memory, for bf16 products on CPUs; so are the spectra below.
        return layer_outputs(folded[..., None].permute(0, 3, 1, 2), self.convs, self.last, SLOPE)


class ScaleDiscriminator(nn.Module):
    """Scores of a wave at 1 / 2^halvings of its rate, by grouped convolutions (HiFi-GAN's sizes at 128 channels).

    Average pooling over 4 samples with a step of 2, as in MelGAN; weight norm throughout.
    """

    def __init__(self, halvings: int, channels: int) -> None:
        super().__init__()
        self.halvings, self.shortest = halvings, 2**halvings
        widths = [channels * factor for factor in (1, 1, 2, 4, 8, 8)]
        layers = [_conv1d(1, channels, 15, 1, 1)]
        for inputs, outputs, stride in zip(widths, widths[1:], (2, 2, 4, 4, 1), strict=False):
            layers.append(_conv1d(inputs, outputs, 41, stride, math.gcd(16, inputs)))
        self.convs = nn.ModuleList([*layers, _conv1d(widths[-1], widths[-1], 5, 1, 1)])
        self.last = _conv1d(widths[-1], 1, 3, 1, 1)

    def forward(self, waves: Tensor) -> Features:
        """(B, S) waves to every layer's output, the scores last."""
        x = waves[:, None]
        for _ in range(self.halvings):
            x = functional.avg_pool1d(x, 4, 2, padding=1, count_include_pad=False)
        return layer_outputs(x, self.convs, self.last, SLOPE)


class STFTDiscriminator(nn.Module):
    """Scores of the complex STFT at one window (EnCodec, DAC), its magnitudes compressed.

    The first layer halves frames and bins: layers run over fewer positions, which costs less than half and tells as
    soon.
    """

    window: Tensor

    def __init__(self, window: int, channels: int) -> None:
        super().__init__()
        self.size, self.shortest = window, window // 2 + 1  # the reflection at the ends takes half a window
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        strides = ((2, 2), (1, 2), (1, 2), (1, 2))
        self.convs = nn.ModuleList(
            _conv2d(2 if i == 0 else channels, channels, (3, 9), stride) for i, stride in enumerate(strides)
        )
        self.convs.append(_conv2d(channels, channels, (3, 3), (1, 1)))
        self.last = _conv2d(channels, 1, (3, 3), (1, 1))

    def forward(self, waves: Tensor) -> Features:
        """(B, S) waves to every layer's output, the scores last."""
        with torch.autocast(waves.device.type, enabled=False):
            spectrum = torch.stft(
                waves.float(), self.size, self.size // 4, window=self.window, center=True, return_complex=True
            )
            planes = torch.view_as_real(spectrum.transpose(1, 2)).permute(0, 3, 1, 2)  # (B, 2, T, K)
            planes = planes / self.window.norm()
            power = planes.square().sum(dim=1, keepdim=True) + FAINT**2
            planes = planes * power ** (0.5 * (COMPRESSION - 1))
        return layer_outputs(planes, self.convs, self.last, SLOPE)


Discriminator = (
    PeriodDiscriminator | ScaleDiscriminator | STFTDiscriminator | WidePeriodDiscriminator | WideScaleDiscriminator
)


class Discriminators(nn.Module):
    """All that a config names (a number stands for the default kinds, each with that many channels).

    Waves are brought to zero mean and a peak of 0.8 first (as in DAC), so that level tells nothing; not so in the wide
    design. `shortest` is the number of samples that each of them takes.
    """

    def __init__(self, config: DiscriminatorConfig | int) -> None:
        super().__init__()
        if isinstance(config, int):
            config = DiscriminatorConfig(channels=config, stft_channels=config)
        parts = [part for kind in config.kinds for part in _parts_of(kind, config)]
        self.config, self.shortest = config, max(part.shortest for part in parts)
        self.parts = nn.ModuleList(parts)

    def forward(self, waves: Tensor) -> list[Features]:
        """(B, S) waves to the features of every discriminator; ValueError where they are shorter than `shortest`."""
        if waves.dim() != 2 or waves.shape[1] < self.shortest:
            raise ValueError(
                f"expected waves (clips, samples) of at least {self.shortest} samples for the discriminators "
                f"{', '.join(self.config.kinds)}, got a shape of {tuple(waves.shape)}; use longer adversarial segments"
            )
        inputs = self.inputs_of(waves)
        return [part(inputs) for part in self.parts]

    def inputs_of(self, waves: Tensor) -> Tensor:
        """Waves (B, S) as the parts are given them."""
        return levelled(waves) if self.config.design == "light" else waves


def levelled(waves: Tensor) -> Tensor:
    """Waves (B, S) at zero mean and a peak of 0.8; below a peak of 1e-3 they are raised as if it were 1e-3."""
    centred = waves - waves.mean(dim=1, keepdim=True)
    return 0.8 * centred / centred.abs().amax(dim=1, keepdim=True).clamp_min(1e-3)


def _parts_of(kind: Kind, config: DiscriminatorConfig) -> Sequence[Discriminator]:
    if config.design == "wide" and kind == "period":
        return [WidePeriodDiscriminator(period, config.channels) for period in config.periods]
    if config.design == "wide":
        return [WideScaleDiscriminator(halvings, config.channels) for halvings in range(config.scales)]
    if kind == "period":
        return [PeriodDiscriminator(period, config.channels) for period in config.periods]
    if kind == "scale":
        return [ScaleDiscriminator(halvings, config.channels) for halvings in range(config.scales)]
    return [STFTDiscriminator(window, config.stft_channels) for window in config.windows]


def _conv2d(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel[0] // 2, kernel[1] // 2))
    _start(conv.weight, conv.bias)
    return weight_norm(conv)


def _conv1d(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> nn.Module:
    conv = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
    _start(conv.weight, conv.bias)
    return weight_norm(conv)


def _start(weight: Tensor, bias: Tensor | None) -> None:
    """He's normal start, in which what passes the leaky layers keeps its size. PyTorch's own makes it some 2.5 times
    smaller in each, so that scores hardly depend on the wave, and little is learnt for a long time."""
    nn.init.kaiming_normal_(weight, SLOPE)
    if bias is not None:
        nn.init.zeros_(bias)
