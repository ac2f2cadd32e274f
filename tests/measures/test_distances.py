"""The mel distance and SI-SDR: known values, and the harness's and the page's use of them."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from eval.reconstruction.metrics import METRICS, Signal
from soundcodec_llmcodec.measures.mel_distance import magnitude, mel_distance, too_short
from soundcodec_llmcodec.measures.mel_filters import mel_filters
from soundcodec_llmcodec.measures.signal_to_distortion import LIMIT_DB, si_sdr


def test_mel_distance_of_a_known_gain(noise):
    """Over two scales: 2 log10 10 = 2 each, plus nine times the mean mel magnitude."""
    wave = 0.05 * noise(32_000).numpy()
    linear = 0.0
    for bands, window in ((150, 2048), (80, 512)):
        spectrum = librosa.stft(wave, n_fft=window, hop_length=window // 4, pad_mode="reflect")
        basis = librosa.filters.mel(sr=16_000, n_fft=window, n_mels=bands)
        linear += 9 * np.abs(basis @ np.abs(spectrum)).mean()
    assert mel_distance(wave, 10 * wave, 16_000) == pytest.approx(4.0 + linear, rel=1e-5)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_the_harness_measures_the_same(noise, rate):
    """It keeps a reference's spectra and has a faster transform: the numbers are the same."""
    target, estimate = noise(20_000).numpy(), 0.5 * noise(20_000, 1).numpy()
    signals = Signal(target, rate), Signal(estimate, rate)
    assert mel_distance(target, estimate, rate) == pytest.approx(METRICS["mel"].score(*signals).value, rel=1e-6)
    assert si_sdr(target, estimate) == METRICS["si_sdr"].score(*signals).value


def test_long_signals_are_transformed_in_parts_without_a_seam(noise):
    wave = noise(1024 * 128 + 4000).numpy()
    spectrum = librosa.stft(wave, n_fft=512, hop_length=128, pad_mode="reflect")
    np.testing.assert_allclose(magnitude(wave, 512), np.abs(spectrum).T, atol=1e-4)


def test_a_signal_needs_more_than_half_of_the_largest_window(noise):
    assert too_short(1025) is None
    assert too_short(1024) == "1024 samples are too few: more than 1024 are needed"
    with pytest.raises(ValueError, match="1024 samples are too few for a window of 2048: give more than 1024"):
        mel_distance(noise(1024).numpy(), noise(1024, 1).numpy(), 16_000)


@pytest.mark.parametrize(("rate", "n_fft", "bands"), [(16_000, 512, 80), (44_100, 2048, 150), (1_600, 128, 10)])
def test_filters_are_librosas(rate, n_fft, bands):
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands)
    np.testing.assert_allclose(mel_filters(rate, n_fft, bands), expected, rtol=1e-5, atol=1e-9)
    with pytest.raises(ValueError, match="read-only"):
        mel_filters(rate, n_fft, bands)[0, 0] = 1


def test_si_sdr_of_known_signals():
    time = np.arange(16_000) / 16_000
    tone, other = (np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (100, 300))
    # Orthogonal distortion of a tenth of the amplitude, whatever the gain and the mean.
    assert si_sdr(tone, 0.3 * (tone + 0.1 * other) + 0.5) == pytest.approx(20, abs=1e-4)
    assert si_sdr(tone, tone) == LIMIT_DB
    assert si_sdr(np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -1.0])) == -LIMIT_DB
