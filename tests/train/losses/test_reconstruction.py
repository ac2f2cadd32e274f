"""The losses that a run counts: those it names, on spectra that are computed once."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from soundcodec_llmcodec.train.loss_names import RECONSTRUCTION
from soundcodec_llmcodec.train.losses import reconstruction
from soundcodec_llmcodec.train.losses.reconstruction import KINDS, ReconstructionLosses


def noise(batch: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(batch, 16_000, generator=torch.Generator().manual_seed(0))


def test_the_names_are_those_of_the_config():
    assert set(KINDS) == set(RECONSTRUCTION)


def test_only_what_is_named_is_computed():
    losses = ReconstructionLosses(16_000, ["stft", "commitment", "mel"])
    assert set(losses(noise(), noise())) == {"stft", "mel"}


def test_a_gain_of_two_is_what_it_should_be():
    """Spectral convergence 1, and the logarithm of 2."""
    values = ReconstructionLosses(16_000, ["stft", "log_mel"])(noise(), 2 * noise())
    assert float(values["stft"]) == pytest.approx(1 + math.log(2), rel=1e-3)
    assert float(values["log_mel"]) == pytest.approx(0.0, abs=1e-4)  # it ignores level


def test_spectra_are_computed_once_for_all(monkeypatch):
    asked = []
    spectra = reconstruction.spectra
    monkeypatch.setattr(reconstruction, "spectra", lambda x, windows: asked.append(windows) or spectra(x, windows))
    ReconstructionLosses(16_000, KINDS)(noise(), noise())
    assert len(asked) == 2  # target and estimate
    assert len(set(asked[0])) == len(asked[0])


def drawn(losses: ReconstructionLosses, share: float, seed: int = 0):
    return losses.drawn(share, torch.Generator().manual_seed(seed))


def test_a_share_of_the_windows_is_drawn_for_each_loss_among_its_own():
    losses = ReconstructionLosses(16_000, ["mel", "stft", "log_mel"])
    counts = {"mel": 3, "stft": 2, "log_mel": 1}
    for seed in range(20):
        scales = drawn(losses, 0.5, seed)
        assert {name: len(set(keys)) for name, keys in scales.items()} == counts
        assert all(set(keys) <= set(losses.scales[name]) for name, keys in scales.items())
    assert drawn(losses, 0.5) == drawn(losses, 0.5)
    assert len({drawn(losses, 0.5, seed)["mel"] for seed in range(20)}) > 5
    assert drawn(losses, 1.0) == losses.scales


def test_drawn_losses_are_those_of_all_windows_on_average(monkeypatch):
    """Over every order that could be drawn, values and gradients are exactly those of all windows."""
    losses = ReconstructionLosses(16_000, ["loudness", "stft", "phase"])
    target = noise(1)
    estimate = (target + 0.02 * noise(1).flip(1)).requires_grad_(True)

    def gradients(scales):
        values = losses(target, estimate, scales)
        return {name: torch.autograd.grad(value, estimate, retain_graph=True)[0] for name, value in values.items()}

    every = []
    for order in itertools.permutations(range(len(losses.windows))):
        monkeypatch.setattr(torch, "randperm", lambda n, generator, order=order: torch.tensor(order))
        every.append(gradients(drawn(losses, 0.5)))
    assert len(every) == 6
    for name, whole in gradients(None).items():
        torch.testing.assert_close(torch.stack([found[name] for found in every]).mean(0), whole)
        assert not torch.allclose(every[0][name], whole)


def test_only_spectra_of_drawn_windows_are_computed(monkeypatch):
    asked = []
    spectra = reconstruction.spectra
    monkeypatch.setattr(reconstruction, "spectra", lambda x, windows: asked.append(windows) or spectra(x, windows))
    losses = ReconstructionLosses(16_000, ["mel", "stft", "phase"])
    scales = drawn(losses, 0.5)
    values = losses(noise(), noise(), scales)
    assert set(asked[0]) == {key for keys in scales.values() for key in keys} < set(losses.windows)
    assert set(values) == {"mel", "stft", "phase"}
