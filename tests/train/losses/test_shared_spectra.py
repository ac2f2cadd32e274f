"""STFTs by (window, hop), the waves' power, and errors that say what was missing."""

from __future__ import annotations

import math

import pytest
import torch

from soundcodec_llmcodec.train.losses import magnitude, relative_error, spectra


def test_a_tone_stands_in_its_bin_at_half_of_the_windows_sum():
    """A tone of amplitude A in the middle of bin k: |X_k| = A / 2 * sum of Hann = A * window / 4."""
    time = torch.arange(8_000)
    wave = 0.5 * torch.sin(2 * math.pi * 1_000 / 16_000 * time)[None]  # bin 32 of 512, bin 64 of 1024
    found = spectra(wave, (512, (1024, 320)))
    assert found[512].shape == (1, 257, 8_000 // 128 + 1)
    assert found[1024, 320].shape == (1, 513, 8_000 // 320 + 1)
    torch.testing.assert_close(magnitude(found[512])[0, 32, 10:-10], torch.full((43,), 0.5 * 512 / 4))
    torch.testing.assert_close(magnitude(found[1024, 320])[0, 64, 5:-5], torch.full((16,), 0.5 * 1024 / 4))
    torch.testing.assert_close(found.power, torch.tensor([0.125]))


def test_a_window_alone_has_a_hop_of_a_quarter():
    found = spectra(torch.ones(1, 4_000), (512,))
    assert found[512] is found[512, 128]


def test_magnitudes_are_computed_once_and_keep_their_gradients():
    found = spectra(torch.ones(1, 4_000, requires_grad=True), (512,))
    with torch.no_grad():
        assert not found.magnitude(512).requires_grad
    sizes = found.magnitude(512)
    assert sizes.requires_grad
    assert found.magnitude((512, 128)) is sizes
    torch.testing.assert_close(sizes, magnitude(found[512]))


def test_a_resolution_that_is_not_there_is_named():
    found = spectra(torch.ones(1, 4_000), (512,))
    with pytest.raises(KeyError, match=r"\(1024, 320\).*\(512, 128\)"):
        found[1024, 320]


@pytest.mark.parametrize("shape", [(1, 512), (4_000,), (1, 1, 4_000)])
def test_waves_too_short_or_of_another_shape_are_rejected(shape):
    with pytest.raises(ValueError, match="at least 513 samples"):
        spectra(torch.ones(shape), (1024, 512))
    assert spectra(torch.ones(1, 513), (1024, 512))[1024].shape == (1, 513, 3)


def test_relative_error_is_a_ratio_up_to_one_and_logarithmic_above():
    error = torch.tensor([0.0, 0.5, 2.0, 2 * math.e, 0.01, 1.0])
    size = torch.tensor([2.0, 2.0, 2.0, 2.0, 0.0, 0.0])
    expected = torch.tensor([0.0, 0.25, 1.0, 2.0, 0.1, 1 + math.log(10)])
    torch.testing.assert_close(relative_error(error, size, floor=0.1), expected)


def test_relative_errors_slope_is_at_most_one_over_the_floor():
    error = torch.logspace(-6, 6, 200, dtype=torch.float64, requires_grad=True)
    relative_error(error, torch.zeros(200, dtype=torch.float64), floor=0.1).sum().backward()
    assert (error.grad > 0).all()
    assert error.grad.max() <= 10 + 1e-9


@pytest.mark.parametrize("key", [(512, 128), (64, 16), (1024, 320), (250, 62), (251, 60)])
def test_a_magnitudes_own_gradient_is_that_of_the_complex_spectrum(key):
    """One inverse transform in place of the chain through real and imaginary parts: the ends are reflected too."""
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(2, 3_000, generator=generator, dtype=torch.float32).requires_grad_()
    found = spectra(waves, (key,))
    weights = torch.randn(found.magnitude(key).shape, generator=generator)
    (own,) = torch.autograd.grad((found.magnitude(key) * weights).sum(), waves)
    (chain,) = torch.autograd.grad((magnitude(found[key]) * weights).sum(), waves)
    torch.testing.assert_close(own, chain, atol=1e-4, rtol=1e-4)
    silent = spectra(torch.zeros(1, 3_000, requires_grad=True), (key,))
    (still,) = torch.autograd.grad(silent.magnitude(key).sum(), silent.waves)
    assert torch.isfinite(still).all()
