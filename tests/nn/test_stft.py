"""Frames of samples, and samples of frames."""

from __future__ import annotations

import pytest
import torch

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.nn.stft import ISTFT, STFT

CONFIG = CodecConfig()


def spectrum_of(samples: torch.Tensor) -> torch.Tensor:
    features = STFT(CONFIG.n_fft, CONFIG.hop_length)(framed_samples(samples, CONFIG)[None])
    log_magnitude, phase = features.chunk(2, dim=2)
    return torch.polar(log_magnitude.exp() - 1e-5, phase)


@pytest.mark.parametrize("length", [640, 3_200, 16_000])
def test_spectrum_and_back_is_the_clip(noise, length):
    samples = noise(length)
    back = ISTFT(CONFIG.n_fft, CONFIG.hop_length)(spectrum_of(samples))[0]
    assert back.shape == samples.shape
    torch.testing.assert_close(back, samples, atol=1e-4, rtol=0)


def test_a_masked_item_ends_as_it_does_alone(noise):
    istft = ISTFT(CONFIG.n_fft, CONFIG.hop_length)
    spectrum = spectrum_of(noise(3_200))
    garbage = torch.full((1, 5, spectrum.shape[2]), 50.0 + 50.0j)
    mask = (torch.arange(15) < 10)[None]
    together = istft(torch.cat((spectrum, garbage), dim=1), mask)
    torch.testing.assert_close(together[:, :3_200], istft(spectrum), atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", [1, 319, 320, 321, 1_000, 16_001])
def test_slices_of_frames_are_those_of_the_whole(noise, length):
    samples = noise(length)
    frames = CONFIG.frames(length)
    whole = framed_samples(samples, CONFIG)
    assert whole.shape == ((frames - 1) * 320 + 1_280,)
    for first in range(0, frames, 7):
        last = min(frames, first + 7)
        part = framed_samples(samples, CONFIG, first, last)
        assert torch.equal(part, whole[first * 320 : (last - 1) * 320 + 1_280])


def test_the_ends_are_zeros_then_reflection(noise):
    samples = noise(1_000)
    whole = framed_samples(samples, CONFIG)
    filled = torch.cat((samples, torch.zeros(280)))
    assert torch.equal(whole[:480], filled[1:481].flip(0))
    assert torch.equal(whole[480:1_760], filled)
    assert torch.equal(whole[1_760:], filled[-481:-1].flip(0))
