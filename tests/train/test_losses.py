"""Equal waves cost nothing, known waves cost what a hand computes, silence has finite gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.train.losses import (
    LoudnessLoss,
    MultiResolutionSTFTLoss,
    MultiScaleMelLoss,
    PhaseLoss,
    spectra,
)
from soundcodec_llmcodec.train.steps import ReconstructionLosses
from soundcodec_llmcodec.train.validation import CodebookUse, mel_distance

LOSSES = (MultiScaleMelLoss(16_000), MultiResolutionSTFTLoss(), PhaseLoss(), LoudnessLoss(16_000))


def tone(frequency: float, n: int = 16_000, phase: float = 0.0) -> torch.Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(n) / 16_000 + phase)[None]


def loss_of(loss, target, estimate):
    return loss(spectra(target, loss.windows), spectra(estimate, loss.windows))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_equal_waves_cost_nothing_and_others_something(loss, noise):
    wave = noise(16_000)[None]
    assert float(loss_of(loss, wave, wave)) < 1e-5
    assert float(loss_of(loss, wave, noise(16_000, 1)[None])) > 0.1


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("target", ["silence", "noise"])
def test_gradients_are_finite_on_silence(loss, target, noise):
    wanted = torch.zeros(1, 8_000) if target == "silence" else noise(8_000)[None]
    estimate = torch.zeros(1, 8_000, requires_grad=True)
    loss_of(loss, wanted, estimate).backward()
    assert torch.isfinite(estimate.grad).all()


def test_mel_loss_of_a_known_gain(noise):
    """Ten times the wave is 10x the magnitude: log10 of its square moves by 2 in every band of every scale."""
    wave = 0.05 * noise(32_000)[None]
    assert float(loss_of(LOSSES[0], wave, 10 * wave)) == pytest.approx(2.0, abs=1e-3)


def test_stft_loss_of_a_known_gain(noise):
    """Twice the wave: convergence |X - 2X| / |X| = 1, and the log-magnitude moves by ln 2."""
    wave = noise(32_000)[None]
    assert float(loss_of(LOSSES[1], wave, 2 * wave)) == pytest.approx(1 + math.log(2), abs=1e-3)


@pytest.mark.parametrize("turn", [0.0, 0.5, math.pi / 2, math.pi])
def test_phase_loss_of_a_known_turn(turn):
    """Phasors apart by an angle a are |1 - exp(i a)| = 2 sin(a / 2) apart; level does not matter."""
    target, estimate = tone(500, 160_000), 0.3 * tone(500, 160_000, turn)
    # The reflected ends turn the other way; they are a small part of ten seconds.
    assert float(loss_of(LOSSES[2], target, estimate)) == pytest.approx(2 * math.sin(turn / 2), abs=0.02)


def test_loudness_loss_of_a_known_gain_at_any_level(noise):
    """Four times the wave is twice the root: the difference is the whole of the target, however loud that is."""
    wave = noise(32_000)[None]
    for level in (1.0, 0.01):
        assert float(loss_of(LOSSES[3], level * wave, 4 * level * wave)) == pytest.approx(1.0, abs=1e-2)


def test_a_nearly_silent_clip_does_not_rule_a_batch(noise):
    loud, quiet = noise(16_000), 1e-4 * noise(16_000, 1)
    estimate = torch.stack((loud, 1e-2 * noise(16_000, 2)))
    target = torch.stack((loud, quiet))
    assert float(loss_of(LOSSES[1], target, estimate)) < 5


def test_all_losses_together_need_no_second_spectrum(noise):
    losses = ReconstructionLosses(16_000)
    wave = noise(16_000)[None]
    parts = losses(wave, 2 * wave)
    assert set(parts) == {"mel", "loudness", "stft", "phase"}
    assert float(parts["stft"]) == pytest.approx(1 + math.log(2), abs=1e-3)


def test_validation_mel_distance_of_a_known_gain(noise):
    """Over two scales: 2 log10 10 = 2 each, plus nine times the mean mel magnitude."""
    wave = 0.05 * noise(32_000)
    import librosa

    linear = 0.0
    for bands, window in ((150, 2048), (80, 512)):
        spectrum = librosa.stft(wave.numpy(), n_fft=window, hop_length=window // 4, pad_mode="reflect")
        basis = librosa.filters.mel(sr=16_000, n_fft=window, n_mels=bands)
        linear += 9 * np.abs(basis @ np.abs(spectrum)).mean()
    assert mel_distance(wave, 10 * wave, 16_000) == pytest.approx(4.0 + linear, rel=1e-3)


def test_validation_and_harness_measure_the_same_mel_distance(noise):
    """The package cannot import the harness, so the distance stands in both."""
    from eval.metrics import METRICS, Signal

    target, estimate = noise(20_000), 0.5 * noise(20_000, 1)
    score = METRICS["mel"].score(Signal(target.numpy(), 16_000), Signal(estimate.numpy(), 16_000))
    assert mel_distance(target, estimate, 16_000) == pytest.approx(score.value, rel=1e-5)


def test_codebook_use_of_known_counts():
    use = CodebookUse.of(torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]]), 512)
    assert (use.tokens, use.codes, use.entropy_bits, use.perplexity) == (8, 4, 2.0, 4.0)
    assert CodebookUse.of(torch.zeros(5, dtype=torch.int64), 512).entropy_bits == 0
