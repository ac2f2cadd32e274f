"""Predicted opinions of the estimate alone: as their packages give them, without a look at the reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eval.harness.clips import CorpusClip
from eval.reconstruction.metrics import METRICS, Signal, dnsmos, plcmos

ROOT = Path(__file__).resolve().parents[4]
RATE = 16_000
PARTS = {
    "dnsmos": "ovrl_mos",
    "dnsmos_ovrl": "ovrl_mos",
    "dnsmos_sig": "sig_mos",
    "dnsmos_bak": "bak_mos",
    "dnsmos_p808": "p808_mos",
}
# By what one run of a predictor gives at once.
FAMILIES = {"dnsmos": [*PARTS], "plcmos": ["plcmos"], "distillmos": ["distillmos"]}


@pytest.fixture
def noisy(speech, hiss):
    """Two seconds with noise on them, beyond full scale here and there."""
    clean = excerpt(speech[2])
    samples = (clean.samples + hiss(len(clean), scale=0.02)).astype(np.float32)
    return Signal(samples * np.float32(1.2 / np.abs(samples).max()), clean.rate)


def excerpt(clip: CorpusClip) -> Signal:
    return Signal(clip.samples[: 2 * clip.rate], clip.rate)


def need(name: str) -> None:
    # Not by importing: distillmos can be imported by its metric only.
    if METRICS[name].missing:
        pytest.skip(METRICS[name].missing)


@pytest.mark.parametrize("family", FAMILIES)
def test_opinions_are_of_the_estimate_alone(family, speech, noisy, hiss):
    need(family)
    clean, silent = excerpt(speech[2]), Signal(np.zeros(len(noisy), np.float32), noisy.rate)
    for name in FAMILIES[family]:
        metric = METRICS[name]
        found = metric.score(clean, noisy)
        assert 1 <= found.value <= 5
        assert metric.score(Signal(hiss(len(noisy)), noisy.rate), noisy) == found
        if name != "dnsmos_sig":  # of the voice, which noise leaves as it is
            assert metric.score(clean, clean).value > found.value
        assert "too short" in metric.score(Signal(hiss(1000), RATE), Signal(hiss(1000), RATE)).reason
        assert metric.score(clean, silent).reason == "the estimate is silent"


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
from eval.reconstruction.metrics import METRICS, Signal
threads = torch.get_num_threads()
signal = Signal(np.random.default_rng(0).normal(0, 0.1, 16000).astype("float32"), 16000)
assert METRICS["distillmos"].score(signal, signal).value is not None
assert "torchaudio" not in sys.modules and torch.get_num_threads() == threads
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
