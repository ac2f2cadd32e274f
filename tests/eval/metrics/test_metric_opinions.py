"""Predicted opinions of the estimate alone: as their packages give them, without a look at the reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eval.corpora import Clip
from eval.metrics import METRICS, Signal, dnsmos, plcmos

ROOT = Path(__file__).resolve().parents[3]
RATE = 16_000
PARTS = {
    "dnsmos": "ovrl_mos",
    "dnsmos_ovrl": "ovrl_mos",
    "dnsmos_sig": "sig_mos",
    "dnsmos_bak": "bak_mos",
    "dnsmos_p808": "p808_mos",
}
OPINIONS = [*PARTS, "plcmos", "distillmos"]


@pytest.fixture
def noisy(speech, hiss):
    """Two seconds with noise on them, beyond full scale here and there."""
    clean = excerpt(speech[2])
    samples = (clean.samples + hiss(len(clean), scale=0.02)).astype(np.float32)
    return Signal(samples * np.float32(1.2 / np.abs(samples).max()), clean.rate)


def excerpt(clip: Clip) -> Signal:
    return Signal(clip.samples[: 2 * clip.rate], clip.rate)


def need(name: str) -> None:
    # Not by importing: distillmos can be imported by its metric only.
    if METRICS[name].missing:
        pytest.skip(METRICS[name].missing)


@pytest.mark.parametrize("name", OPINIONS)
def test_opinions_do_not_look_at_the_reference(name, noisy, hiss):
    need(name)
    first, second = (METRICS[name].score(Signal(hiss(len(noisy), seed), noisy.rate), noisy) for seed in (0, 1))
    assert first == second
    assert 1 <= first.value <= 5


@pytest.mark.parametrize("name", OPINIONS)
def test_noise_is_heard_and_nothing_is_said_of_next_to_nothing(name, speech, noisy, hiss):
    need(name)
    clean = excerpt(speech[2])
    if name != "dnsmos_sig":  # of the voice alone
        assert METRICS[name].score(clean, clean).value > METRICS[name].score(clean, noisy).value + 0.3
    assert "too short" in METRICS[name].score(Signal(hiss(1000), RATE), Signal(hiss(1000), RATE)).reason
    silent = Signal(np.zeros(len(clean), np.float32), clean.rate)
    assert METRICS[name].score(clean, silent).reason == "the estimate is silent"


def test_the_parts_of_dnsmos_are_the_packages_by_one_run(noisy, monkeypatch):
    package = pytest.importorskip("speechmos.dnsmos")
    expected = package.run(np.clip(noisy.at(RATE), -1, 1), RATE)
    runs = []
    predictor = dnsmos._predictor()
    monkeypatch.setattr(dnsmos, "_predictor", lambda: runs.append(1) or predictor)
    for name, part in PARTS.items():
        assert METRICS[name].score(noisy, noisy).value == pytest.approx(expected[part], abs=1e-3), name
    assert len(runs) == 1
    assert len({METRICS[name].score(noisy, noisy).value for name in PARTS}) == 4


def test_plcmos_is_the_packages_with_raters_that_stay(noisy, monkeypatch):
    package = pytest.importorskip("speechmos.plcmos")
    drawn = iter(plcmos._tastes())
    monkeypatch.setattr(package.np.random, "normal", lambda size: next(drawn).reshape(size))
    expected = package.PLCMOS()(np.clip(noisy.at(RATE), -1, 1))["plcmos"]
    assert METRICS["plcmos"].score(noisy, noisy).value == pytest.approx(expected, abs=1e-3)


def test_distillmos_leaves_no_stand_in_for_torchaudio_behind_and_prints_nothing():
    need("distillmos")
    code = """
import sys, numpy as np, torch
from eval.metrics import METRICS, Signal
threads = torch.get_num_threads()
signal = Signal(np.random.default_rng(0).normal(0, 0.1, 16000).astype("float32"), 16000)
assert METRICS["distillmos"].score(signal, signal).value is not None
assert "torchaudio" not in sys.modules and torch.get_num_threads() == threads
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
