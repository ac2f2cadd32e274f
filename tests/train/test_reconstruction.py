"""The losses that a run counts: those it names, on spectra that are computed once."""

from __future__ import annotations

import math

import pytest
import torch

from soundcodec_llmcodec.train import reconstruction
from soundcodec_llmcodec.train.config import RECONSTRUCTION
from soundcodec_llmcodec.train.reconstruction import KINDS, ReconstructionLosses


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
