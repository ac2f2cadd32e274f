"""What the encoder sees in place of phase: mel bands of short windows beside the low bins of a long one."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError, MagnitudeConfig
from soundcodec_llmcodec.nn.mel import mel_filters
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.nn.stft import MagnitudeHead

MAGNITUDES = MagnitudeConfig(window=320, hop=80, bands=64, low_bins=200)
CONFIG = CodecConfig(hidden_size=64, magnitudes=MAGNITUDES)


@pytest.fixture
def head() -> MagnitudeHead:
    torch.manual_seed(0)
    return MagnitudeHead(CONFIG, MAGNITUDES)


@pytest.mark.parametrize(("rate", "n_fft", "bands"), [(16_000, 400, 80), (16_000, 320, 64), (24_000, 1_024, 100)])
def test_filters_are_librosas(rate, n_fft, bands):
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands)
    np.testing.assert_allclose(mel_filters(rate, n_fft, bands).numpy(), expected, atol=1e-7)


def test_features_are_what_numpy_computes_frame_by_frame(head, noise):
    """Four short windows, centred 40, 120, 200 and 280 samples into a frame's own hop, and its 80 ms around the hop."""
    frames = 7
    clip = noise(320 * frames)
    features = head.features(framed_samples(clip, CONFIG)[None])[0].numpy()
    assert features.shape == (frames, 4 * 64 + 200)
    padded = np.pad(clip.numpy(), 480, mode="reflect")
    filters = librosa.filters.mel(sr=16_000, n_fft=320, n_mels=64)
    hann = {n: 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) for n in (320, 1280)}
    for frame in range(frames):
        own = 480 + 320 * frame
        magnitudes = []
        for centre in (40, 120, 200, 280):
            start = own + centre - 160
            magnitudes.append(filters @ np.abs(np.fft.rfft(padded[start : start + 320] * hann[320])))
        start = own + 160 - 640
        magnitudes.append(np.abs(np.fft.rfft(padded[start : start + 1280] * hann[1280]))[:200])
        expected = (np.log(np.concatenate(magnitudes) + 1e-4) + 4) / 3
        np.testing.assert_allclose(features[frame], expected, atol=2e-4)


def test_a_wave_turned_upside_down_has_the_same_features(head, noise):
    padded = framed_samples(noise(3_200), CONFIG)[None]
    assert torch.equal(head.features(-padded), head.features(padded))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hop": 96}, "does not divide"),
        ({"window": 321}, "even"),
        ({"window": 85, "hop": 5, "bands": 9}, "even"),
        ({"window": 2_000}, "480 samples"),
        ({"bands": 300}, "up to 160 bands"),
        ({"low_bins": 642}, "641"),
        ({"window": 0}, "positive"),
        ({"size": 3}, "unknown keys"),
    ],
)
def test_impossible_windows_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        CodecConfig(magnitudes=changed)
