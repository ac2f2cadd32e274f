"""LLM-Codec's own discriminators: plain convolutions, each layer twice as wide as the one before, up to 16 times.

They differ from the light ones, which follow HiFi-GAN and MelGAN, in what LLM-Codec's published code has otherwise: one
layer more over periods, the first without stride; strides of 2 and no groups over scales; a slope of 0.2 below zero, no
weight norm, and weights that begin small.

Letters: B batch, S samples.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional

FACTORS = (1, 2, 4, 8, 16)  # of the first layer's channels
SLOPE = 0.2
START_DEVIATION = 0.01


class WidePeriodDiscriminator(nn.Module):
    """Scores of a wave folded into rows of one period: strides of 1, 3, 3, 3 and 3 along the rows, then 1."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = self.shortest = period
        widths = (1, *(channels * factor for factor in FACTORS))
        layers = [
            nn.Conv2d(inputs, outputs, (5, 1), (1 if inputs == 1 else 3, 1), (2, 0))
            for inputs, outputs in itertools.pairwise(widths)
        ]
        self.convs = nn.ModuleList([*layers, nn.Conv2d(widths[-1], widths[-1], (3, 1), 1, (1, 0))])
        self.last = nn.Conv2d(widths[-1], 1, (3, 1), 1, (1, 0))
        self.apply(_small_start)

    def forward(self, waves: Tensor) -> list[Tensor]:
        """(B, S) waves to every layer's output, the scores last."""
        rest = -waves.shape[1] % self.period
        folded = functional.pad(waves[:, None], (0, rest), mode="reflect").unflatten(2, (-1, self.period))
        return layer_outputs(folded, self.convs, self.last, SLOPE)


class WideScaleDiscriminator(nn.Module):
    """Scores of a wave at 1 / 2^halvings of its rate (average pooling over 4 with a step of 2): strides of 1, 2, 2, 2
    and 2, then 1."""

    def __init__(self, halvings: int, channels: int) -> None:
        super().__init__()
        self.halvings, self.shortest = halvings, 2**halvings
        widths = (1, *(channels * factor for factor in FACTORS))
        layers = [
            nn.Conv1d(inputs, outputs, 15 if inputs == 1 else 41, 1 if inputs == 1 else 2, 7 if inputs == 1 else 20)
            for inputs, outputs in itertools.pairwise(widths)
        ]
        self.convs = nn.ModuleList([*layers, nn.Conv1d(widths[-1], widths[-1], 5, 1, 2)])
        self.last = nn.Conv1d(widths[-1], 1, 3, 1, 1)
        self.apply(_small_start)

    def forward(self, waves: Tensor) -> list[Tensor]:
        """(B, S) waves to every layer's output, the scores last."""
        x = waves[:, None]
        for _ in range(self.halvings):
            x = functional.avg_pool1d(x, 4, 2, padding=1, count_include_pad=False)
        return layer_outputs(x, self.convs, self.last, SLOPE)


def _small_start(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        nn.init.normal_(module.weight, std=START_DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def layer_outputs(x: Tensor, convs: nn.ModuleList, last: nn.Module, slope: float) -> list[Tensor]:
    """The output of each layer, leaky ReLUs of that slope between them, and the scores last."""
    features = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), slope)
        features.append(x)
    return [*features, last(x)]
