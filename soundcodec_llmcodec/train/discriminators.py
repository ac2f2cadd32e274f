"""Discriminators over periods, scales and STFTs, their losses, feature matching and R1.

Over discriminators and layers, losses are means or sums. Every loss is a mean over clips of what each clip costs by
itself, so that equal shards of a batch average to the batch.
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

from soundcodec_llmcodec.train.losses.relative_error import relative_error
from soundcodec_llmcodec.train.wide_discriminators import WidePeriodDiscriminator, WideScaleDiscriminator

Kind = Literal["period", "scale", "stft"]
GanLoss = Literal["hinge", "least_squares"]
Reduction = Literal["mean", "sum"]
FeatureError = Literal["relative", "absolute"]
GAN_LOSSES: tuple[GanLoss, ...] = ("hinge", "least_squares")
KINDS: tuple[Kind, ...] = ("period", "scale", "stft")
Features = list[Tensor]  # every layer's output, the judgement last
SLOPE = 0.1  # of leaky ReLUs below zero
# Spectra in which white noise of variance 1 has a mean square of 1, raised to this power from a magnitude of FAINT on.
# Raw ones span 100 dB: what tells a codec's output, the faint between and above harmonics, would hardly be seen.
COMPRESSION, FAINT = 0.3, 1e-3


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Which kinds judge, and their sizes: `channels` is the first layer's width, eight times that the widest's.

    "period" (HiFi-GAN: one a period), "scale" (MelGAN, HiFi-GAN: `scales` of them, each at half the rate of the one
    before), "stft" (as in EnCodec: one a window, each layer with `stft_channels`). On a CPU "period" and "stft" cost
    about the same at 16 channels each, "scale" several times as much.

    `design`: "light", as above, on waves of one level, or "wide", as in LLM-Codec: "period" and "scale" with a layer
    more, the widest sixteen times `channels`, on waves as they are (`train.wide_discriminators`).
    """

    kinds: tuple[Kind, ...] = ("period", "stft")
    channels: int = 32
    stft_channels: int = 8
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    scales: int = 3
    windows: tuple[int, ...] = (1024, 512, 256)
    design: Literal["light", "wide"] = "light"

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
    """Judges a wave folded into rows of one period (HiFi-GAN)."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = self.shortest = period
        widths = (1, channels, 2 * channels, 4 * channels, 8 * channels)
        self.convs = nn.ModuleList(_conv2d(a, b, (5, 1), (3, 1)) for a, b in itertools.pairwise(widths))
        self.last = _conv2d(widths[-1], 1, (3, 1), (1, 1))

    def forward(self, waves: Tensor) -> Features:
        """(B, S) waves to every layer's output, the judgement last."""
        rest = -waves.shape[1] % self.period
        folded = functional.pad(waves, (0, rest), mode="reflect").unflatten(1, (-1, self.period))
        # Channels last in memory, for bf16 products on CPUs; so are the spectra below.
        return _through(folded[..., None].permute(0, 3, 1, 2), self.convs, self.last)


class ScaleDiscriminator(nn.Module):
    """Judges a wave at 1 / 2^halvings of its rate, by grouped convolutions (HiFi-GAN's sizes at 128 channels).

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
        """(B, S) waves to every layer's output, the judgement last."""
        x = waves[:, None]
        for _ in range(self.halvings):
            x = functional.avg_pool1d(x, 4, 2, padding=1, count_include_pad=False)
        return _through(x, self.convs, self.last)


class STFTDiscriminator(nn.Module):
    """Judges the complex STFT at one window (EnCodec, DAC), its magnitudes compressed.

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
        """(B, S) waves to every layer's output, the judgement last."""
        with torch.autocast(waves.device.type, enabled=False):
            spectrum = torch.stft(
                waves.float(), self.size, self.size // 4, window=self.window, center=True, return_complex=True
            )
            planes = torch.view_as_real(spectrum.transpose(1, 2)).permute(0, 3, 1, 2)  # (B, 2, T, K)
            planes = planes / self.window.norm()
            power = planes.square().sum(dim=1, keepdim=True) + FAINT**2
            planes = planes * power ** (0.5 * (COMPRESSION - 1))
        return _through(planes, self.convs, self.last)


Discriminator = (
    PeriodDiscriminator | ScaleDiscriminator | STFTDiscriminator | WidePeriodDiscriminator | WideScaleDiscriminator
)


class Discriminators(nn.Module):
    """All that a config names (a number stands for the default kinds, each with that many channels).

    Waves are brought to zero mean and a peak of 0.8 first (as in DAC), so that level tells nothing; not so in the wide
    design. `shortest` is the number of samples that each of them can judge.
    """

    def __init__(self, config: DiscriminatorConfig | int) -> None:
        super().__init__()
        if isinstance(config, int):
            config = DiscriminatorConfig(channels=config, stft_channels=config)
        parts = [part for kind in config.kinds for part in _made(kind, config)]
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


def discriminator_loss(
    real: list[Features], fake: list[Features], loss: GanLoss = "hinge", reduction: Reduction = "mean"
) -> Tensor:
    """Mean or sum over discriminators of max(0, 1 - D(real)) + max(0, 1 + D(fake)), the hinge,
    or (D(real) - 1)^2 + D(fake)^2, least squares (LSGAN, HiFi-GAN)."""
    _check_loss(loss)
    losses = []
    for wanted, got in zip(real, fake, strict=True):
        r, f = wanted[-1].float(), got[-1].float()
        if loss == "hinge":
            losses.append(functional.relu(1 - r).mean() + functional.relu(1 + f).mean())
        else:
            losses.append((r - 1).square().mean() + f.square().mean())
    return _reduce(losses, reduction)


def adversarial_loss(fake: list[Features], loss: GanLoss = "hinge", reduction: Reduction = "mean") -> Tensor:
    """The codec's side, mean or sum over discriminators: -D(fake) for the hinge, (D(fake) - 1)^2 for least squares."""
    _check_loss(loss)
    judgements = [features[-1].float() for features in fake]
    return _reduce([-f.mean() if loss == "hinge" else (f - 1).square().mean() for f in judgements], reduction)


def feature_matching_loss(
    real: list[Features],
    fake: list[Features],
    reduction: Reduction = "mean",
    feature_error: FeatureError = "relative",
) -> Tensor:
    """Mean or sum over layers, mean over clips, of L1 between features: relative to the real ones' mean size
    (`relative_error`), or absolute, their mean difference."""
    losses = []
    for wanted, got in zip(real, fake, strict=True):
        for r, f in zip(wanted[:-1], got[:-1], strict=True):
            r, every = r.detach(), tuple(range(1, r.dim()))
            # A sum and not a mean, whose backward pass would write a whole tensor of equal numbers.
            error, size = (x.abs().sum(dim=every, dtype=torch.float32) / x[0].numel() for x in (f - r, r))
            losses.append((relative_error(error, size, floor=1e-3) if feature_error == "relative" else error).mean())
    return _reduce(losses, reduction)


def r1_penalty(discriminators: Discriminators, real: Tensor, gamma: float, reduction: Reduction = "mean") -> Tensor:
    """gamma / 2 * |dD / dx|^2 at the real waves (B, S), mean over clips and discriminators (Mescheder et al. 2018).

    x is the wave as the discriminators see it (`levelled`), or quiet clips would be punished for being quiet. Where D
    gives many judgements of a clip, it is the mean over them: |d(sum of D) / dx|^2 / number, which is the mean of their
    own squared slopes where their fields do not overlap, and does not depend on the clip's length. For a "sum", as
    published, D is the sum of all judgements of all discriminators. In float32 always.
    """
    with torch.autocast(real.device.type, enabled=False):
        waves = discriminators.inputs_of(real.detach().float()).requires_grad_(True)
        if reduction == "sum":
            whole = torch.stack([part(waves)[-1].sum() for part in discriminators.parts]).sum()
            (slope,) = torch.autograd.grad(whole, waves, create_graph=True)
            return 0.5 * gamma * slope.square().sum(dim=1).mean()
        slopes = []
        for part in discriminators.parts:
            judgements = part(waves)[-1].flatten(1)
            (gradient,) = torch.autograd.grad(judgements.sum(), waves, create_graph=True)
            slopes.append(gradient.square().sum(dim=1).mean() / judgements.shape[1])
        return 0.5 * gamma * torch.stack(slopes).mean()


def lazy_weight(step: int, every: int, lazy: bool = True) -> float:
    """The weight of a penalty that counts on each `every`-th step (0: never) and else not: `every` times (StyleGAN2),
    or once where it is not `lazy`."""
    if not every or step % every:
        return 0.0
    return float(every) if lazy else 1.0


def _reduce(losses: list[Tensor], reduction: Reduction) -> Tensor:
    """Scalars to their mean or sum."""
    stacked = torch.stack(losses)
    return stacked.sum() if reduction == "sum" else stacked.mean()


def _check_loss(loss: str) -> None:
    if loss not in GAN_LOSSES:
        raise ValueError(f"the loss is one of {', '.join(GAN_LOSSES)}, got {loss!r}")


def _made(kind: Kind, config: DiscriminatorConfig) -> Sequence[Discriminator]:
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
    smaller in each, so that judgements hardly depend on the wave, and little is learnt for a long time."""
    nn.init.kaiming_normal_(weight, SLOPE)
    if bias is not None:
        nn.init.zeros_(bias)


def _through(x: Tensor, convs: nn.ModuleList, last: nn.Module) -> Features:
    features = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), SLOPE)
        features.append(x)
    return [*features, last(x)]
