"""What discriminators and codec learn from each other's outputs: adversarial losses, feature matching, R1.

Over discriminators and layers, losses are means or sums. Every loss is a mean over clips of what each clip costs by
itself, so that equal shards of a batch average to the batch.

Letters: B batch, S samples.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from soundcodec_llmcodec.train.discriminators import Discriminators, Features
from soundcodec_llmcodec.train.losses.relative_error import relative_error

GanLoss = Literal["hinge", "least_squares"]
Reduction = Literal["mean", "sum"]
FeatureError = Literal["relative", "absolute"]
GAN_LOSSES: tuple[GanLoss, ...] = ("hinge", "least_squares")


def discriminator_loss(
    real: list[Features], fake: list[Features], loss: GanLoss = "hinge", reduction: Reduction = "mean"
) -> Tensor:
    """Mean or sum over discriminators of max(0, 1 - D(real)) + max(0, 1 + D(fake)), the hinge,
    or (D(real) - 1)^2 + D(fake)^2, least squares (LSGAN, HiFi-GAN)."""
    _check_loss(loss)
    losses = []
    for real_features, fake_features in zip(real, fake, strict=True):
        r, f = real_features[-1].float(), fake_features[-1].float()
        if loss == "hinge":
            losses.append(functional.relu(1 - r).mean() + functional.relu(1 + f).mean())
        else:
            losses.append((r - 1).square().mean() + f.square().mean())
    return _reduce(losses, reduction)


def adversarial_loss(fake: list[Features], loss: GanLoss = "hinge", reduction: Reduction = "mean") -> Tensor:
    """The codec's side, mean or sum over discriminators: -D(fake) for the hinge, (D(fake) - 1)^2 for least squares."""
    _check_loss(loss)
    outputs = [features[-1].float() for features in fake]
    return _reduce([-f.mean() if loss == "hinge" else (f - 1).square().mean() for f in outputs], reduction)


def feature_matching_loss(
    real: list[Features],
    fake: list[Features],
    reduction: Reduction = "mean",
    feature_error: FeatureError = "relative",
) -> Tensor:
    """Mean or sum over layers, mean over clips, of L1 between features: relative to the real ones' mean size
    (`relative_error`), or absolute, their mean difference."""
    losses = []
    for real_features, fake_features in zip(real, fake, strict=True):
        for r, f in zip(real_features[:-1], fake_features[:-1], strict=True):
            r, every = r.detach(), tuple(range(1, r.dim()))
            # A sum and not a mean, whose backward pass would write a whole tensor of equal numbers.
            error, size = (x.abs().sum(dim=every, dtype=torch.float32) / x[0].numel() for x in (f - r, r))
            losses.append((relative_error(error, size, floor=1e-3) if feature_error == "relative" else error).mean())
    return _reduce(losses, reduction)


def r1_penalty(discriminators: Discriminators, real: Tensor, gamma: float, reduction: Reduction = "mean") -> Tensor:
    """gamma / 2 * |dD / dx|^2 at the real waves (B, S), mean over clips and discriminators (Mescheder et al. 2018).

    x is the wave as the discriminators see it (`levelled`), or quiet clips would be punished for being quiet. Where D
    gives many outputs for a clip, it is the mean over them: |d(sum of D) / dx|^2 / number, which is the mean of their
    own squared slopes where their fields do not overlap, and does not depend on the clip's length. For a "sum", as
    published, D is the sum of all outputs of all discriminators. In float32 always.
    """
    with torch.autocast(real.device.type, enabled=False):
        waves = discriminators.inputs_of(real.detach().float()).requires_grad_(True)
        if reduction == "sum":
            whole = torch.stack([part(waves)[-1].sum() for part in discriminators.parts]).sum()
            (slope,) = torch.autograd.grad(whole, waves, create_graph=True)
            return 0.5 * gamma * slope.square().sum(dim=1).mean()
        slopes = []
        for part in discriminators.parts:
            outputs = part(waves)[-1].flatten(1)
            (gradient,) = torch.autograd.grad(outputs.sum(), waves, create_graph=True)
            slopes.append(gradient.square().sum(dim=1).mean() / outputs.shape[1])
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
