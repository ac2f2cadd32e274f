"""Log-mel losses of known gains and turns, and against librosa's own mel spectrograms."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from soundcodec_llmcodec.train.losses import (
    LogMelLoss,
    LoudnessLoss,
    MultiScaleMelLoss,
    PublishedMelLoss,
    Spectra,
    spectra,
)


def loss_of(loss, target, estimate):
    return float(loss(spectra(target, loss.windows), spectra(estimate, loss.windows)))


def reference(wave: np.ndarray, window: int, hop: int, bands: int) -> np.ndarray:
    """ln(M + 1e-5) by librosa: HTK bands of height 1 over a power spectrogram."""
    power = librosa.feature.melspectrogram(
        y=wave,
        sr=16_000,
        n_fft=window,
        hop_length=hop,
        n_mels=bands,
        htk=True,
        norm=None,
        power=2.0,
        pad_mode="reflect",
    )
    return np.log(power + 1e-5)


def test_multi_scale_mel_of_a_known_gain(noise):
    """Ten times the wave is 10x the magnitude: log10 of its square moves by 2 in every band of every scale."""
    wave = 0.05 * noise(32_000)[None]
    assert loss_of(MultiScaleMelLoss(16_000), wave, 10 * wave) == pytest.approx(2.0, abs=1e-3)


def test_log_mel_is_librosas_on_waves_of_rms_one(noise):
    target, estimate = 0.3 * noise(12_000), 0.02 * noise(12_000, 1)
    logs = [reference((x / x.square().mean().sqrt()).numpy(), 1024, 320, 100) for x in (target, estimate)]
    expected = float(np.abs(logs[0] - logs[1]).mean())
    assert loss_of(LogMelLoss(16_000), target[None], estimate[None]) == pytest.approx(expected, rel=1e-4)


def test_log_mel_does_not_hear_level(noise):
    wave = noise(16_000)[None]
    assert loss_of(LogMelLoss(16_000), wave, 0.03 * wave) < 1e-4
    assert loss_of(LogMelLoss(16_000), torch.cat((wave, 0.1 * wave)), torch.cat((0.1 * wave, wave))) < 1e-4


def test_log_mel_does_not_raise_what_lies_below_minus_60_dbfs():
    """Spectra that follow their waves' power are equal down to a power of 1e-6; 1e-8 counts as that, ln 100 below."""
    loss = LogMelLoss(16_000)

    def flat(a: float) -> Spectra:
        size = math.sqrt(2e3) * a  # far above the 1e-5 that is added
        return Spectra.of({(1024, 320): torch.full((1, 513, 3), size + 0j)}, torch.tensor([a * a]))

    assert float(loss(flat(1e-1), flat(1e-2))) == pytest.approx(0, abs=1e-4)
    assert float(loss(flat(1e-2), flat(1e-4))) == pytest.approx(math.log(100), rel=1e-4)


def test_published_mel_is_the_mean_of_librosas_at_three_windows(noise):
    target, estimate = 0.3 * noise(12_000), 0.02 * noise(12_000, 1)
    expected = []
    for window in (512, 1024, 2048):
        logs = [reference(x.numpy(), window, window // 4, 80) for x in (target, estimate)]
        expected.append(np.abs(logs[0] - logs[1]).mean())
    loss = PublishedMelLoss(16_000)
    assert loss.windows == ((512, 128), (1024, 256), (2048, 512))
    assert loss_of(loss, target[None], estimate[None]) == pytest.approx(float(np.mean(expected)), rel=1e-4)


def test_published_mel_of_a_known_gain_hears_level(noise):
    """Ten times the wave is 100x the power, where power is far above the 1e-5 that is added."""
    loss = PublishedMelLoss(16_000, scales=((2048, 20),))
    assert loss_of(loss, noise(16_000)[None], 10 * noise(16_000)[None]) == pytest.approx(math.log(100), rel=1e-4)


def test_loudness_of_a_known_gain_at_any_level(noise):
    """Four times the wave is twice the root: the difference is the whole of the target, however loud that is."""
    loss, wave = LoudnessLoss(16_000), noise(32_000)[None]
    for level in (1.0, 0.01):
        assert loss_of(loss, level * wave, 4 * level * wave) == pytest.approx(1.0, abs=1e-2)
        assert loss_of(loss, level * wave, level / 4 * wave) == pytest.approx(0.5, abs=1e-2)
