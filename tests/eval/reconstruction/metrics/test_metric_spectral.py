"""mel, stft and waveform against their formulas on torch's spectrograms."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from eval.reconstruction.metrics import METRICS, Signal

RATE = 16_000


def torch_magnitude(samples: np.ndarray, window: int) -> np.ndarray:
    signal = torch.from_numpy(samples)
    spectrum = torch.stft(signal, window, window // 4, window=torch.hann_window(window), return_complex=True)
    return spectrum.abs().numpy().T


def test_halving_a_signal_moves_stft_by_what_the_formula_says(hiss, score):
    x = hiss(RATE)
    # Every bin of noise lies above the floor: log10(M^2) - log10((M/2)^2) = log10(4); |M - M/2| = M/2.
    expected = sum(math.log10(4) + 0.5 * float(torch_magnitude(x, w).mean()) for w in (2048, 512))
    assert score("stft", x, 0.5 * x).value == pytest.approx(expected, rel=1e-5)


def test_stft_of_a_signal_against_silence_stops_at_the_floor(hiss, score):
    x = hiss(RATE)
    expected = 0.0
    for window in (2048, 512):
        magnitude = torch_magnitude(x, window)
        expected += np.mean(np.log10(magnitude**2) + 10) + magnitude.mean()
    assert score("stft", x, np.zeros_like(x)).value == pytest.approx(expected, rel=1e-5)


def test_mcd_equals_the_formula_on_torchs_spectrogram(speech, hiss, score):
    clip = speech[2]
    x = np.concatenate([clip.samples, np.zeros(8_000, np.float32)])
    y = (x + hiss(len(x), scale=0.01)).astype(np.float32)
    basis = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40, fmin=0.0, fmax=RATE / 2)
    logs = [np.log(np.maximum(torch_magnitude(one, 512) @ basis.T, 1e-5)) for one in (x, y)]
    # The cosine series by a fit, not by a transform: ln M = c0 + sum of c[d] cos(pi d (band + 1/2) / 40).
    bands = np.arange(40)[:, None] + 0.5
    series = np.cos(np.pi * np.arange(40) * bands / 40)
    first, second = (np.linalg.solve(series, log.T.astype(np.float64))[1:14].T for log in logs)
    levels = 10 * np.log10(np.square(torch_magnitude(x, 512)).sum(axis=1) + 1e-20)
    heard = levels > levels.max() - 40
    assert 0.3 < heard.mean() < 0.9
    distances = 10 / math.log(10) * np.sqrt(2 * np.square(first - second).sum(axis=1))
    assert score("mcd", x, y).value == pytest.approx(distances[heard].mean(), rel=1e-4)


def test_mcd_is_in_db_of_the_envelope_and_leaves_the_level_out(hiss, score):
    """A spectrum that swings by ±6 dB along the mel bands is 6 / sqrt(2) dB away, whatever its level."""
    x = hiss(2 * RATE)
    assert score("mcd", x, 0.25 * x).value == pytest.approx(0.0, abs=1e-4)
    spectrum, hertz = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / RATE)
    place = librosa.hz_to_mel(hertz) / librosa.hz_to_mel(RATE / 2)
    swung = np.fft.irfft(spectrum * 10 ** (6 / 20 * np.cos(2 * np.pi * place)), len(x)).astype(np.float32)
    assert score("mcd", x, swung).value == pytest.approx(6 / math.sqrt(2), rel=0.1)
    assert score("mcd", x, 0.5 * swung).value == pytest.approx(score("mcd", x, swung).value, rel=1e-3)


def test_mcd_hears_at_16_khz(hiss, score):
    x, y = hiss(3 * RATE), hiss(3 * RATE, 1)
    at_16k = [Signal(Signal(one, 3 * RATE).at(RATE), RATE) for one in (x, y)]
    assert score("mcd", x, y, 3 * RATE) == METRICS["mcd"].score(*at_16k)
    assert "too few" in score("mcd", x[:200], y[:200]).reason


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_mel_equals_the_formula_on_torchs_spectrogram(rate, hiss, score):
    x, y = hiss(rate), hiss(rate, seed=1, scale=0.03)
    expected = 0.0
    for bands, window in ((150, 2048), (80, 512)):
        basis = librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands)
        a, b = (torch_magnitude(s, window) @ basis.T for s in (x, y))
        logs = [np.log10(np.maximum(m, 1e-5) ** 2) for m in (a, b)]
        expected += np.abs(logs[0] - logs[1]).mean() + np.abs(a - b).mean()
    assert score("mel", x, y, rate).value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["mel", "stft"])
def test_spectral_distances_need_more_than_half_a_window(name, hiss, score):
    too_few = "1024 samples are too few: more than 1024 are needed"
    assert score(name, hiss(1024), hiss(1024, 1)).reason == too_few
    assert score(name, hiss(1025), hiss(1025, 1)).value > 0


def test_waveform_is_the_mean_absolute_difference(score):
    x, y = np.array([0.5, -0.5, 0.25, 0.0], np.float32), np.array([0.0, -0.25, 0.25, 0.5], np.float32)
    assert score("waveform", x, y).value == pytest.approx((0.5 + 0.25 + 0.0 + 0.5) / 4)


def test_a_shift_by_one_sample_is_noticed_and_forgiven(speech, score):
    clip = speech[2]
    shifted = np.concatenate([np.zeros(1, np.float32), clip.samples[:-1]])
    names = ("mel", "stft", "pesq", "stoi", "f0corr")
    values = {name: score(name, clip.samples, shifted, clip.rate).value for name in names}
    assert 0 < values["mel"] < 0.05
    assert 0 < values["stft"] < 0.1
    assert values["pesq"] > 4.6
    assert values["stoi"] > 0.999
    assert values["f0corr"] > 0.999
