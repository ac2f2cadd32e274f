"""What each kind gives and needs, the losses of given scores, R1 of known slopes, and who gets gradients."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from soundcodec_llmcodec.train.adversarial_losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
    lazy_weight,
    r1_penalty,
)
from soundcodec_llmcodec.train.discriminators import KINDS, DiscriminatorConfig, Discriminators, levelled

SMALL = {"channels": 4, "stft_channels": 4}
SHORTEST = {"period": 11, "scale": 4, "stft": 513}
every_kind = pytest.mark.parametrize("kind", KINDS)


def made(*kinds: str, **changes) -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(DiscriminatorConfig(kinds=kinds, **{**SMALL, **changes}))


@pytest.fixture(scope="module")
def discriminators():
    return made(*KINDS)


def scores(value: float) -> list[list[torch.Tensor]]:
    return [[torch.ones(2, 3), torch.full((2, 5), value)]]


class Linear(nn.Module):
    """One score a clip, its product with known weights."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, waves: torch.Tensor) -> list[torch.Tensor]:
        return [waves @ self.weights[:, None]]


def test_kinds_and_sizes_follow_the_config():
    names = [type(part).__name__ for part in made("stft", "scale", "period", periods=(2, 3)).parts]
    assert names == ["STFTDiscriminator"] * 3 + ["ScaleDiscriminator"] * 3 + ["PeriodDiscriminator"] * 2
    assert [part.period for part in made("period").parts] == [2, 3, 5, 7, 11]
    assert [part.halvings for part in made("scale").parts] == [0, 1, 2]
    by_number, by_config = Discriminators(4), made("period", "stft")
    shapes = [{name: p.shape for name, p in x.named_parameters()} for x in (by_number, by_config)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    "fields",
    [
        {"kinds": ()},
        {"kinds": ("period", "period")},
        {"kinds": ("wave",)},
        {"channels": 0},
        {"stft_channels": 0},
        {"scales": 0},
        {"periods": (1,)},
        {"periods": ()},
        {"windows": (30,)},
        {"windows": ()},
    ],
    ids=str,
)
def test_configs_that_make_no_sense_are_rejected(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        DiscriminatorConfig(**fields)


def test_layers_have_the_widths_and_lengths_of_their_papers(noise):
    """960 samples: a period of 2 has 480 rows, divided by 3 at each of 4 layers; scales divide by 2, 2, 4 and 4."""
    wave = noise(960)[None]
    period = made("period", periods=(2,))(wave)[0]
    assert [tuple(x.shape) for x in period] == [
        (1, 4, 160, 2),
        (1, 8, 54, 2),
        (1, 16, 18, 2),
        (1, 32, 6, 2),
        (1, 1, 6, 2),
    ]
    whole, _, quarter = made("scale")(wave)
    assert [tuple(x.shape[1:]) for x in whole] == [
        (4, 960),
        (4, 480),
        (8, 240),
        (16, 60),
        (32, 15),
        (32, 15),
        (32, 15),
        (1, 15),
    ]
    assert quarter[0].shape == (1, 4, 240)
    stft = made("stft", windows=(64,))(wave)[0]
    assert [tuple(x.shape[1:]) for x in stft[:3]] == [(4, 31, 17), (4, 31, 9), (4, 31, 5)]


@every_kind
@pytest.mark.parametrize("extra", [0, 1, 2, 1_500])
def test_waves_from_the_shortest_on_are_scored(kind, extra, noise):
    discriminators = made(kind)
    assert discriminators.shortest == SHORTEST[kind]
    waves = torch.stack([noise(SHORTEST[kind] + extra, i) for i in range(3)])
    for features in discriminators(waves):
        assert all(torch.isfinite(layer).all() for layer in features)
        assert features[-1].shape[:2] == (3, 1)


@every_kind
def test_shorter_waves_are_rejected_with_the_length_that_is_needed(kind, noise):
    with pytest.raises(ValueError, match=f"at least {SHORTEST[kind]} samples.*{kind}"):
        made(kind)(noise(SHORTEST[kind] - 1)[None])
    with pytest.raises(ValueError, match="clips, samples"):
        made(kind)(noise(4_000))


def test_a_clip_is_scored_the_same_in_any_batch(discriminators, noise):
    waves = torch.stack((noise(1_600), 0.01 * noise(1_600, 1)))
    with torch.no_grad():
        both, alone = discriminators(waves), discriminators(waves[1:])
    for batch, single in zip(both, alone, strict=True):
        for a, b in zip(batch, single, strict=True):
            torch.testing.assert_close(a[1:], b, rtol=1e-4, atol=1e-5)


def test_hinge_of_given_scores():
    assert float(discriminator_loss(scores(1.0), scores(-1.0))) == 0
    assert float(discriminator_loss(scores(0.0), scores(0.0))) == 2
    assert float(discriminator_loss(scores(3.0), scores(0.5))) == 1.5
    assert float(adversarial_loss(scores(0.25))) == -0.25


def test_least_squares_of_given_scores():
    assert float(discriminator_loss(scores(1.0), scores(0.0), "least_squares")) == 0
    assert float(discriminator_loss(scores(3.0), scores(0.5), "least_squares")) == 4.25
    assert float(adversarial_loss(scores(0.25), "least_squares")) == 0.5625
    assert float(adversarial_loss(scores(0.0) + scores(3.0), "least_squares")) == 2.5


def test_an_unknown_loss_is_rejected():
    for call in (lambda: adversarial_loss(scores(0.0), "lsgan"), lambda: discriminator_loss([], [], "lsgan")):
        with pytest.raises(ValueError, match=r"hinge, least_squares.*'lsgan'"):
            call()


def test_feature_matching_of_known_features():
    """Clips with features of 2 and 4, off by 1: (1 / 2 + 1 / 4) / 2; scores take no part."""
    real, fake = ([[torch.tensor([[2.0], [4.0]]) + x, torch.tensor([[9.0 * x]])]] for x in (0, 1))
    assert float(feature_matching_loss(real, fake)) == pytest.approx(0.375)


def test_a_batchs_losses_are_the_mean_of_its_clips(discriminators, noise):
    real = torch.stack([level * noise(1_600, i) for i, level in enumerate((1.0, 0.01, 0.0))])
    fake = torch.stack([level * noise(1_600, 9 + i) for i, level in enumerate((0.5, 1.0, 0.1))])
    with torch.no_grad():
        pairs = [(discriminators(real[i : i + n]), discriminators(fake[i : i + n])) for i, n in ((0, 3), (0, 1))]
        pairs += [(discriminators(real[i : i + 1]), discriminators(fake[i : i + 1])) for i in (1, 2)]
    for loss in (
        discriminator_loss,
        lambda r, f: discriminator_loss(r, f, "least_squares"),
        lambda _, f: adversarial_loss(f),
        feature_matching_loss,
    ):
        whole, *alone = (loss(r, f) for r, f in pairs)
        torch.testing.assert_close(whole, torch.stack(alone).mean(), rtol=1e-4, atol=1e-5)
    whole, *alone = (r1_penalty(discriminators, real[a:b], 2.0) for a, b in ((0, 3), (0, 1), (1, 2), (2, 3)))
    torch.testing.assert_close(whole, torch.stack(alone).mean(), rtol=1e-4, atol=1e-6)


def test_equal_waves_have_equal_features_and_level_tells_nothing(discriminators, noise):
    wave = 0.1 * noise(4_000)[None]
    with torch.no_grad():
        real, same, louder = discriminators(wave), discriminators(wave.clone()), discriminators(3 * wave + 0.1)
        other = discriminators(noise(4_000, 1)[None])
    assert float(feature_matching_loss(real, same)) == 0
    assert float(feature_matching_loss(real, louder)) < 1e-3
    assert float(feature_matching_loss(real, other)) > 0.1


def test_levelled_waves_have_no_mean_and_a_peak_of_0_8():
    waves = torch.tensor([[0.0, 2.0, 4.0], [1e-4, 2e-4, 3e-4], [7.0, 7.0, 7.0]])
    expected = torch.tensor([[-0.8, 0.0, 0.8], [-0.08, 0.0, 0.08], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(levelled(waves), expected, rtol=1e-4, atol=1e-6)


@every_kind
@pytest.mark.parametrize("loss", ["hinge", "least_squares"])
def test_the_codecs_turn_moves_the_waves_and_no_frozen_discriminator(kind, loss, noise):
    discriminators = made(kind).requires_grad_(False)
    fake = noise(2_000, 1)[None].requires_grad_(True)
    got = discriminators(fake)
    losses = (adversarial_loss(got, loss), feature_matching_loss(discriminators(noise(2_000)[None]), got))
    for value in losses:
        (gradient,) = torch.autograd.grad(value, fake, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.9
    sum(losses).backward()
    assert all(parameter.grad is None for parameter in discriminators.parameters())


@every_kind
def test_a_discriminators_turn_moves_all_of_it_and_not_the_real_features(kind, noise):
    discriminators = made(kind)
    real, fake = discriminators(noise(2_000)[None]), discriminators(noise(2_000, 1)[None])
    discriminator_loss(real, fake).backward(retain_graph=True)
    assert all(parameter.grad is not None for parameter in discriminators.parameters())
    matched = feature_matching_loss(real, [[layer.detach() for layer in part] for part in fake])
    assert not matched.requires_grad


@every_kind
def test_gradients_are_finite_on_silence(kind):
    discriminators = made(kind)
    fake = torch.zeros(2, 2_000, requires_grad=True)
    real, got = discriminators(torch.zeros(2, 2_000)), discriminators(fake)
    (adversarial_loss(got) + feature_matching_loss(real, got)).backward()
    r1_penalty(discriminators, torch.zeros(2, 2_000), 2.0).backward()
    assert torch.isfinite(fake.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in discriminators.parameters())


def test_r1_of_linear_discriminators_is_the_mean_of_half_gamma_times_their_squared_weights(noise):
    discriminators = made("period")
    weights = [noise(100, i) for i in range(2)]
    discriminators.parts = nn.ModuleList(Linear(w) for w in weights)
    real = torch.stack((noise(100, 5), 0.01 * noise(100, 6)))
    value = r1_penalty(discriminators, real, gamma=3.0)
    expected = 1.5 * torch.stack([w.square().sum() for w in weights]).mean()
    torch.testing.assert_close(value, expected)
    value.backward()  # d(gamma / 2 * |w|^2 / 2 discriminators) / dw
    for part, w in zip(discriminators.parts, weights, strict=True):
        torch.testing.assert_close(part.weights.grad, 1.5 * w)


def test_r1_is_a_mean_over_scores_whatever_the_length(noise):
    """A convolution without overlap: each judgement's slope is the kernel, however many there are."""

    class Strided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 8, stride=8)

        def forward(self, waves: torch.Tensor) -> list[torch.Tensor]:
            return [self.conv(waves[:, None])]

    discriminators = made("period")
    discriminators.parts = nn.ModuleList([Strided()])
    expected = discriminators.parts[0].conv.weight.square().sum()
    for length in (64, 640):
        torch.testing.assert_close(r1_penalty(discriminators, noise(length)[None], gamma=2.0), expected)


@every_kind
def test_r1_does_not_punish_quiet_clips(kind, noise):
    discriminators, wave = made(kind), noise(2_000)[None]
    torch.testing.assert_close(r1_penalty(discriminators, 0.05 * wave, 2.0), r1_penalty(discriminators, wave, 2.0))


@every_kind
def test_r1_trains_the_discriminator_and_leaves_the_waves_alone(kind, noise):
    discriminators = made(kind)
    real = noise(2_000)[None].requires_grad_(True)
    before = r1_penalty(discriminators, real, 2.0)
    gradients = torch.autograd.grad(before, list(discriminators.parameters()), allow_unused=True)
    assert real.grad is None
    assert not any(p.grad is not None for p in discriminators.parameters())
    slope = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()
    with torch.no_grad():
        for parameter, gradient in zip(discriminators.parameters(), gradients, strict=True):
            if gradient is not None:
                parameter -= 0.02 * gradient / slope
    assert 0 < r1_penalty(discriminators, real, 2.0) < before


def test_a_lazy_penalty_counts_as_often_as_it_would():
    weights = [lazy_weight(step, 16) for step in range(64)]
    assert sum(weights) == 64
    assert [step for step, weight in enumerate(weights) if weight] == [0, 16, 32, 48]
    assert lazy_weight(0, 0) == 0


@every_kind
@pytest.mark.parametrize("loss", ["hinge", "least_squares"])
def test_they_learn_to_tell_noise_from_a_tone(kind, loss, noise):
    discriminators = made(kind, periods=(2,), windows=(256,), scales=1)
    optimizer = torch.optim.Adam(discriminators.parameters(), 5e-3)
    real = torch.sin(torch.arange(2_000) / 10)[None]
    for step in range(60):
        value = discriminator_loss(discriminators(real), discriminators(noise(2_000, step)[None]), loss)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    with torch.no_grad():
        assert discriminators(real)[0][-1].mean() > discriminators(noise(2_000, 99)[None])[0][-1].mean() + 0.5


def voices(seed: int, clips: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Voiced clips (B, 4000) of random pitch, timbre and phases with some breath, and the same made dull."""
    drawn = torch.Generator().manual_seed(seed)
    pitch = 90 + 160 * torch.rand(clips, 1, 1, generator=drawn)
    number = torch.arange(1, 25)[:, None]
    size, turn = torch.rand(2, clips, 24, 1, generator=drawn)
    tones = torch.sin(2 * math.pi * (pitch * number * torch.arange(4_000) / 16_000 + turn)) * size / number
    real = 0.1 * (tones.sum(dim=1) + 0.05 * torch.randn(clips, 4_000, generator=drawn))
    return real, functional.avg_pool1d(real, 5, 1, 2)


def gap(discriminators: Discriminators) -> float:
    """How much higher other real clips are judged than their dull ones."""
    with torch.no_grad():
        real, fake = (discriminators(waves)[0][-1].mean() for waves in voices(999, 8))
    return float(real - fake)


@every_kind
def test_they_begin_to_tell_real_from_degraded_within_a_few_steps(kind):
    """PyTorch's own start of the layers reaches 0.003 (scale) to 0.024 (STFT) in as many steps."""
    discriminators = made(kind, channels=16, stft_channels=16, periods=(3,), windows=(512,), scales=1)
    optimizer = torch.optim.AdamW(discriminators.parameters(), 5e-4, betas=(0.8, 0.99))
    before = gap(discriminators)
    for step in range(8):
        real, fake = voices(step)
        optimizer.zero_grad()
        discriminator_loss(discriminators(real), discriminators(fake)).backward()
        optimizer.step()
    assert gap(discriminators) - before > 0.06


@every_kind
def test_layers_keep_the_size_of_what_passes_them(kind):
    """So that a judgement depends on the wave from the first step on."""
    for layers in made(kind, channels=16, stft_channels=16)(voices(0)[0]):
        sizes = [float(layer.detach().square().mean().sqrt()) for layer in layers[:-1]]
        assert sizes[-1] / sizes[0] > 0.3, sizes


def test_what_stft_discriminators_see_is_as_large_at_each_window():
    """And faint bins beside loud ones: 40 dB of level are 12 dB of what is seen."""
    for window in (1024, 256):
        seen = []
        part = made("stft", windows=(window,)).parts[0]
        part.convs[0].register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        wave = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
        for level in (1.0, 1e-2):
            part(level * wave)
        size = [float(planes.square().sum(dim=1).sqrt().mean()) for planes in seen]
        assert size[0] == pytest.approx(1.0, abs=0.1)
        assert size[1] / size[0] == pytest.approx(0.01**0.3, rel=0.05)


def test_configs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DiscriminatorConfig().channels = 4
