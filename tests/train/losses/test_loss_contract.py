"""What holds for every reconstruction loss: zero for equals, each clip by itself, and finite gradients."""

from __future__ import annotations

import math

import pytest
import torch

from soundcodec_llmcodec.train.losses import (
    ComplexSTFTLoss,
    LogMelLoss,
    LoudnessLoss,
    MultiResolutionSTFTLoss,
    MultiScaleMelLoss,
    PhaseLoss,
    PublishedMelLoss,
    spectra,
)

LOSSES = (
    MultiScaleMelLoss(16_000),
    LogMelLoss(16_000),
    PublishedMelLoss(16_000),
    LoudnessLoss(16_000),
    MultiResolutionSTFTLoss(),
    ComplexSTFTLoss(),
    PhaseLoss(),
)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)


def loss_of(loss, target, estimate):
    return loss(spectra(target, loss.windows), spectra(estimate, loss.windows))


@every_loss
def test_equal_waves_cost_nothing_and_others_something(loss, noise):
    wave = noise(16_000)[None]
    assert float(loss_of(loss, wave, wave.clone())) < 1e-5
    assert float(loss_of(loss, wave, noise(16_000, 1)[None])) > 0.1


@every_loss
def test_a_batch_costs_the_mean_of_its_clips(loss, noise):
    """So that devices that share a batch get its gradients: loud, quiet, nearly silent and silent clips together."""
    levels = torch.tensor([1.0, 0.3, 1e-2, 1e-4, 0.0])[:, None]
    target = levels * torch.stack([noise(8_000, i) for i in range(5)])
    estimate = levels.flip(0) * torch.stack([noise(8_000, 5 + i) for i in range(5)])
    alone = [loss_of(loss, target[i : i + 1], estimate[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(loss_of(loss, target, estimate), torch.stack(alone).mean())


@every_loss
@pytest.mark.parametrize("target_level", [0.0, 1e-20, 1e-5, 1.0, 1e5])
@pytest.mark.parametrize("estimate_level", [0.0, 1e-20, 1e-5, 1.0, 1e5])
def test_gradients_are_finite_at_any_level(loss, target_level, estimate_level, noise):
    target = target_level * noise(4_000)[None]
    estimate = (estimate_level * noise(4_000, 1)[None]).requires_grad_(True)
    value = loss_of(loss, target, estimate)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(estimate.grad).all()


@every_loss
def test_gradients_are_finite_for_a_silent_clip_among_loud_ones(loss, noise):
    target = torch.stack((noise(4_000), torch.zeros(4_000), noise(4_000, 1)))
    estimate = torch.stack((noise(4_000, 2), noise(4_000, 3), torch.zeros(4_000))).requires_grad_(True)
    loss_of(loss, target, estimate).backward()
    assert torch.isfinite(estimate.grad).all()
    assert (estimate.grad[0] != 0).any()


@every_loss
@pytest.mark.parametrize("target_level", [0.0, 1e-4])
def test_a_nearly_silent_clip_does_not_rule_a_batch(loss, target_level, noise):
    """Up to full scale an estimate costs its logarithm above 1e-5 and a little more; a plain ratio would cost 300."""
    for level in (1e-3, 1e-1, 5.0):
        value = loss_of(loss, target_level * noise(16_000)[None], level * noise(16_000, 1)[None])
        assert float(value) < 25


@every_loss
def test_a_step_down_the_gradient_lowers_the_loss(loss, noise):
    target, estimate = noise(8_000)[None], noise(8_000, 1)[None].requires_grad_(True)
    before = loss_of(loss, target, estimate)
    (gradient,) = torch.autograd.grad(before, estimate)
    step = 1e-2 * math.sqrt(estimate.numel()) * gradient / gradient.norm()
    assert loss_of(loss, target, estimate.detach() - 0.1 * step) < before
