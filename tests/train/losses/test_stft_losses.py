"""Convergence, log-magnitudes and phasors of spectra made by hand."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from soundcodec_llmcodec.train.losses import (
    ComplexSTFTLoss,
    MultiResolutionSTFTLoss,
    PhaseLoss,
    Spectra,
    spectra,
)


def loss_of(loss, target, estimate):
    return float(loss(spectra(target, loss.windows), spectra(estimate, loss.windows)))


def flat(*values: complex) -> Spectra:
    """Three bins over two frames, one value a clip, at the window 512."""
    planes = [torch.full((3, 2), value, dtype=torch.complex64) for value in values]
    return Spectra.of({(512, 128): torch.stack(planes)}, torch.ones(len(values)))


@pytest.mark.parametrize(
    ("gain", "convergence"), [(2.0, 1.0), (0.5, 0.5), (0.0625, 0.9375), (1.5, 0.5), (3.0, 1 + math.log(2))]
)
@pytest.mark.parametrize("kind", [MultiResolutionSTFTLoss, ComplexSTFTLoss])
def test_known_gains(kind, gain, convergence, noise):
    """|X - gX| / |X| = |1 - g| (logarithmic above 1), and every log-magnitude moves by |ln g|; no phase moves."""
    wave = noise(32_000)[None]
    expected = convergence + abs(math.log(gain))
    assert loss_of(kind(), wave, gain * wave) == pytest.approx(expected, abs=2e-3)


def test_each_clip_counts_by_itself():
    """Errors of 1/2 and 3/4 of clips a hundred times apart in level: their mean, plus the mean of ln 2 and ln 4."""
    loss = MultiResolutionSTFTLoss((512,))
    value = float(loss(flat(100, 10), flat(50, 2.5)))
    assert value == pytest.approx((0.5 + 0.75) / 2 + (math.log(2) + math.log(4)) / 2, rel=1e-5)


def test_convergence_below_minus_50_dbfs_is_of_that_level():
    """Noise of RMS 3e-3 has bins of 3e-3 * sqrt(3 / 8 * 512): a silent clip's error counts in that unit."""
    loss, unit = MultiResolutionSTFTLoss((512,)), 3e-3 * math.sqrt(0.375 * 512)
    for share, expected in ((0.5, 0.5), (math.e, 2.0)):
        logs = math.log(share * unit / 1e-5)
        assert float(loss(flat(0), flat(share * unit))) == pytest.approx(expected + logs, rel=1e-4)


@pytest.mark.parametrize("turn", [0.0, 0.5, math.pi / 2, math.pi])
def test_complex_stft_of_a_known_turn(turn):
    """Only phasors differ: 0.5 times the mean of |1 - cos a| and |sin a|."""
    phasor = cmath.exp(1j * turn)
    expected = 0.5 * (abs(1 - phasor.real) + abs(phasor.imag)) / 2
    assert float(ComplexSTFTLoss((512,))(flat(2.0), flat(2.0 * phasor))) == pytest.approx(expected, abs=1e-5)
    assert float(MultiResolutionSTFTLoss((512,))(flat(2.0), flat(2.0 * phasor))) == pytest.approx(0, abs=1e-5)


def test_complex_stft_is_the_plain_one_plus_half_of_the_phasors(noise):
    target, estimate = noise(16_000)[None], 0.5 * noise(16_000, 1)[None]
    plain, full = loss_of(MultiResolutionSTFTLoss(), target, estimate), loss_of(ComplexSTFTLoss(), target, estimate)
    phasors = []
    for window in (2048, 1024, 512):
        units = [spectra(x, (window,))[window] for x in (target, estimate)]
        difference = units[0] / units[0].abs() - units[1] / units[1].abs()
        phasors.append((difference.real.abs().mean() + difference.imag.abs().mean()) / 2)
    assert full - plain == pytest.approx(0.5 * float(torch.stack(phasors).mean()), rel=1e-3)


def test_phasors_of_faint_bins_are_short():
    """A bin of 1e-4 has a phasor of 0.1: turned half way round, it is 0.2 away along the real axis."""
    value = float(ComplexSTFTLoss((512,))(flat(1e-4), flat(-1e-4)))
    assert value == pytest.approx(0.5 * 0.2 / 2, rel=1e-3)


@pytest.mark.parametrize("turn", [0.0, 0.5, math.pi / 2, math.pi])
def test_phase_loss_of_a_known_turn(turn):
    """Phasors apart by an angle a are |1 - exp(i a)| = 2 sin(a / 2) apart; level does not matter."""
    value = float(PhaseLoss((512,))(flat(2.0), flat(0.3 * cmath.exp(1j * turn))))
    assert value == pytest.approx(2 * math.sin(turn / 2), abs=1e-5)


def test_phase_loss_weighs_bins_by_the_targets_magnitude():
    """Bins of 3 and 1, the second turned half way round: 1/4 of 2."""
    both = torch.tensor([[[3.0], [1.0]]], dtype=torch.complex64)
    target = Spectra.of({(512, 128): both}, torch.ones(1))
    estimate = Spectra.of({(512, 128): both * torch.tensor([[[1.0], [-1.0]]])}, torch.ones(1))
    assert float(PhaseLoss((512,))(target, estimate)) == pytest.approx(0.5, rel=1e-5)
