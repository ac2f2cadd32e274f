"""The hinge, the features, and who gets gradients."""

from __future__ import annotations

import pytest
import torch

from soundcodec_llmcodec.train.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)


@pytest.fixture(scope="module")
def discriminators():
    torch.manual_seed(0)
    return Discriminators(channels=4)


def judged(value: float) -> list[list[torch.Tensor]]:
    return [[torch.ones(2, 3), torch.full((2, 5), value)]]


def test_hinge_of_known_judgements():
    assert float(discriminator_loss(judged(1.0), judged(-1.0))) == 0
    assert float(discriminator_loss(judged(0.0), judged(0.0))) == 2
    assert float(discriminator_loss(judged(3.0), judged(0.5))) == 1.5
    assert float(adversarial_loss(judged(0.25))) == -0.25


def test_equal_waves_have_equal_features_and_level_tells_nothing(discriminators, noise):
    wave = 0.1 * noise(4_000)[None]
    with torch.no_grad():
        real, same, louder = discriminators(wave), discriminators(wave.clone()), discriminators(3 * wave)
        other = discriminators(noise(4_000, 1)[None])
    assert float(feature_matching_loss(real, same)) == 0
    assert float(feature_matching_loss(real, louder)) < 1e-3
    assert float(feature_matching_loss(real, other)) > 0.1


@pytest.mark.parametrize("length", [1_999, 2_000, 4_001])
def test_any_length_is_judged(discriminators, noise, length):
    for features in discriminators(noise(length)[None]):
        assert all(torch.isfinite(layer).all() for layer in features)
        assert features[-1].shape[1] == 1


def test_they_learn_to_tell_noise_from_a_tone(noise):
    torch.manual_seed(0)
    discriminators = Discriminators(channels=4, periods=(2,), windows=(256,))
    optimizer = torch.optim.Adam(discriminators.parameters(), 2e-3)
    real = torch.sin(torch.arange(4_000) / 10)[None]
    for step in range(30):
        loss = discriminator_loss(discriminators(real), discriminators(noise(4_000, step)[None]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1.0
