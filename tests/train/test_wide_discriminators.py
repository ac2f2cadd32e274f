"""LLM-Codec's discriminators layer by layer, and losses that are sums over discriminators and layers."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from train_runs import trainer

from soundcodec_llmcodec.train.adversarial_losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
    lazy_weight,
    r1_penalty,
)
from soundcodec_llmcodec.train.discriminators import DiscriminatorConfig, Discriminators

KINDS = ("period", "scale")


def made(*kinds: str, **changes) -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(DiscriminatorConfig(kinds=kinds, design="wide", **{"channels": 2, **changes}))


class Linear(nn.Module):
    """Some judgements of a clip, its products with known weights (samples, judgements)."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, waves: torch.Tensor) -> list[torch.Tensor]:
        return [waves @ self.weights]


def test_layers_have_the_lengths_of_the_published_code(noise):
    """960 samples: a period of 2 has 480 rows, whole in the first layer and then divided by 3 at each of 4; scales
    divide by 2 at each of 4."""
    wave = noise(960)[None]
    period = made("period", periods=(2,))(wave)[0]
    shapes = [(2, 480, 2), (4, 160, 2), (8, 54, 2), (16, 18, 2), (32, 6, 2), (32, 6, 2), (1, 6, 2)]
    assert [tuple(layer.shape[1:]) for layer in period] == shapes
    whole, half, quarter = made("scale")(wave)
    shapes = [(2, 960), (4, 480), (8, 240), (16, 120), (32, 60), (32, 60), (1, 60)]
    assert [tuple(layer.shape[1:]) for layer in whole] == shapes
    assert [layers[0].shape[2] for layers in (half, quarter)] == [480, 240]


def test_a_scale_discriminators_first_layer_by_hand(noise):
    """Of pooled samples, a plain convolution, and a slope of 0.2 below zero."""
    wave = noise(64)
    part = made("scale", scales=2).parts[1]
    with torch.no_grad():
        first = part(wave[None])[0][0]
        padded = torch.cat((wave[:1] * 0, wave, wave[:1] * 0))
        counts = torch.cat((torch.tensor([3.0]), torch.full((30,), 4.0), torch.tensor([3.0])))  # padding does not count
        pooled = padded.unfold(0, 4, 2).sum(dim=1) / counts
        expected = torch.conv1d(pooled[None], part.convs[0].weight, part.convs[0].bias, padding=7)
    torch.testing.assert_close(first, torch.where(expected > 0, expected, 0.2 * expected))


def test_weights_begin_small_and_biases_at_zero():
    for module in made(*KINDS, channels=8).modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            assert module.groups == 1
            assert not module.bias.any()
            if module.weight.numel() > 1_000:
                assert float(module.weight.detach().std()) == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_waves_are_scored_at_their_own_level(kind, noise):
    """Unlike the light design, which brings all to one."""
    wave = noise(2_000)[None]
    wide, light = made(kind), Discriminators(DiscriminatorConfig(kinds=(kind,), channels=2))
    with torch.no_grad():
        (loud, quiet), (same, other) = ([part(level * wave)[0][0] for level in (1.0, 0.1)] for part in (wide, light))
    torch.testing.assert_close(quiet, 0.1 * loud)
    torch.testing.assert_close(same, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extra", [0, 1, 700])
def test_waves_from_the_shortest_on_are_scored_and_gradients_reach_all(kind, extra, noise):
    discriminators = made(kind)
    waves = noise(2 * (discriminators.shortest + extra)).view(2, -1).requires_grad_(True)
    fake = discriminators(waves)
    real = discriminators(noise(waves.numel(), 1).view(2, -1))
    for reduction in ("mean", "sum"):
        (discriminator_loss(real, fake, reduction=reduction)).backward(retain_graph=True)
    assert all(torch.isfinite(parameter.grad).all() for parameter in discriminators.parameters())
    assert waves.grad is not None


def judged(*values: float) -> list[list[torch.Tensor]]:
    """Discriminators with two layers of features and a judgement, all of one value each."""
    return [[torch.full((2, 3), value), torch.full((2, 4), value), torch.full((2, 5), value)] for value in values]


def test_losses_are_sums_over_discriminators_and_layers():
    real, fake = judged(0.5, 2.0), judged(-0.5, 0.0)
    # Hinge: (1 - 0.5) + (1 - 0.5), and 0 + 1.
    assert float(discriminator_loss(real, fake, reduction="sum")) == 2.0
    assert float(discriminator_loss(real, fake)) == 1.0
    assert float(discriminator_loss(real, fake, "least_squares", "sum")) == 0.25 + 0.25 + 1.0
    assert float(adversarial_loss(fake, reduction="sum")) == 0.5
    assert float(adversarial_loss(fake)) == 0.25
    assert float(adversarial_loss(fake, "least_squares", "sum")) == 1.5**2 + 1.0
    # Two layers each, off by 1 and by 2.
    absolute = feature_matching_loss(real, fake, "sum", "absolute")
    assert float(absolute) == 2 * 1.0 + 2 * 2.0
    assert float(feature_matching_loss(real, fake, "mean", "absolute")) == 1.5
    # 1 of 0.5 is 2, which counts as 1 + ln 2; 2 of 2 is 1.
    relative = 2 * (1 + torch.tensor(2.0).log()) + 2 * 1.0
    torch.testing.assert_close(feature_matching_loss(real, fake, "sum"), relative)


def test_eight_discriminators_alike_cost_eight_times_one():
    one, eight = (judged(*[0.25] * n) for n in (1, 8))
    other, others = (judged(*[0.75] * n) for n in (1, 8))
    assert float(adversarial_loss(eight, reduction="sum")) == 8 * float(adversarial_loss(one))
    assert float(discriminator_loss(others, eight, reduction="sum")) == 8 * float(discriminator_loss(other, one))
    summed = feature_matching_loss(others, eight, "sum", "absolute")
    assert float(summed) == 16 * float(feature_matching_loss(other, one, "mean", "absolute"))


def test_r1_of_a_sum_is_of_the_sum_of_all_scores(noise):
    """Linear discriminators with two judgements and one: the slope is the sum of all three weights. The wave's level
    does not matter to it, and neither does how many clips there are."""
    discriminators = made("period")
    weights = [noise(200, i).view(100, 2) for i in range(1)] + [noise(100, 7).view(100, 1)]
    discriminators.parts = nn.ModuleList(Linear(w) for w in weights)
    slope = weights[0].sum(dim=1) + weights[1][:, 0]
    for clips in (1, 3):
        real = torch.stack([noise(100, 20 + i) for i in range(clips)])
        value = r1_penalty(discriminators, real, 3.0, "sum")
        torch.testing.assert_close(value, 1.5 * slope.square().sum())
    assert float(value) > 2 * float(r1_penalty(discriminators, real, 3.0))
    value.backward()
    torch.testing.assert_close(discriminators.parts[1].weights.grad[:, 0], 3.0 * slope)


def test_a_penalty_that_is_not_lazy_counts_once_on_each_of_its_steps():
    weights = [lazy_weight(step, 16, lazy=False) for step in range(64)]
    assert [step for step, weight in enumerate(weights) if weight] == [0, 16, 32, 48]
    assert set(weights) == {0.0, 1.0}
    assert lazy_weight(0, 0, lazy=False) == 0


def first_step(config, folder, **adversary) -> tuple[dict[str, float], set[torch.dtype]]:
    """The values of a run's first step with these keys of `adversary`, and what dtypes discriminators judged in."""
    losses = {name: dataclasses.replace(loss, start=0, ramp=0) for name, loss in config.losses.items()}
    discriminators = DiscriminatorConfig(kinds=KINDS, channels=2)
    settings = dataclasses.replace(config.adversary, discriminators=discriminators, **adversary)
    run = trainer(config, folder, losses=losses, adversary=settings)
    dtypes: set[torch.dtype] = set()
    for part in run.state.others["discriminators"].module.parts:
        part.last.register_forward_hook(lambda layer, given, result: dtypes.add(result.dtype))
    return {name: float(value) for name, value in run.step().values.items()}, dtypes


def test_a_step_of_sums_counts_each_discriminator_and_layer(tiny_config, tmp_path):
    """Five periods with four layers of features each, three scales with seven."""
    mean, _ = first_step(tiny_config, tmp_path / "mean")
    total, _ = first_step(tiny_config, tmp_path / "sum", reduction="sum")
    for name, count in (("discriminator", 8), ("adversarial", 8), ("feature_matching", 5 * 4 + 3 * 7)):
        assert total[name] == pytest.approx(count * mean[name], rel=1e-4), name
    absolute, _ = first_step(tiny_config, tmp_path / "absolute", feature_error="absolute")
    assert absolute["feature_matching"] < 0.9 * mean["feature_matching"]


def test_a_step_of_r1_counts_as_often_as_it_is_said(tiny_config, tmp_path):
    """With R1 far above the rest, the discriminators' gradient is R1's; a sum's R1 is another."""
    heavy = {"r1_gamma": 1e6, "r1_every": 4}
    lazy, _ = first_step(tiny_config, tmp_path / "lazy", **heavy)
    once, _ = first_step(tiny_config, tmp_path / "once", **heavy, r1_lazy=False)
    assert once["r1"] == pytest.approx(lazy["r1"], rel=1e-5)
    ratio = lazy["gradient/discriminators"] / once["gradient/discriminators"]
    assert ratio == pytest.approx(4, rel=1e-2)
    total, _ = first_step(tiny_config, tmp_path / "sum", **heavy, reduction="sum")
    assert total["r1"] > 10 * once["r1"]


@pytest.mark.parametrize(("precision", "expected"), [("run", torch.bfloat16), ("float32", torch.float32)])
def test_discriminators_run_in_the_precision_of_their_config(tiny_config, tmp_path, precision, expected):
    config = dataclasses.replace(tiny_config, precision="bfloat16")
    _, dtypes = first_step(config, tmp_path, precision=precision)
    assert dtypes == {expected}
