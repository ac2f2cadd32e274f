"""The page's measures against the harness's."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from eval.reconstruction.metrics import METRICS, Signal
from soundcodec_llmcodec.listening import page_measures
from soundcodec_llmcodec.measures.signal_to_distortion import LIMIT_DB


def pair(n: int, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Something like speech in its changes, and a worse version of it."""
    generator = np.random.default_rng(0)
    time = np.arange(n) / rate
    clean = np.sin(2 * np.pi * (200 + 60 * np.sin(3 * time)) * time) * (0.2 + 0.2 * np.sin(2 * np.pi * 3 * time) ** 2)
    clean = clean + 0.02 * generator.standard_normal(n)
    return clean.astype(np.float32), (0.7 * clean + 0.05 * generator.standard_normal(n)).astype(np.float32)


@pytest.mark.parametrize(("name", "within"), [("mel", 1e-4), ("si_sdr", 1e-6), ("pesq", 1e-6), ("stoi", 1e-4)])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_measures_are_the_harnesss(name: str, within: float, rate: int):
    clean, made = pair(2 * rate + 7, rate)
    compute = {
        "mel": page_measures.mel,
        "si_sdr": page_measures.si_sdr,
        "pesq": page_measures.pesq,
        "stoi": page_measures.stoi,
    }
    expected = METRICS[name].score(Signal(clean, rate), Signal(made, rate))
    assert compute[name](clean, made, rate).value == pytest.approx(expected.value, abs=within)


def test_loudness_differences_are_in_lu():
    clean, _ = pair(32_000, 16_000)
    difference = page_measures.loudness_difference(clean, clean / 2, 16_000).value
    assert difference == pytest.approx(20 * math.log10(0.5), abs=1e-6)


def test_equal_signals_and_unrelated_ones():
    clean, _ = pair(16_000, 16_000)
    assert page_measures.mel(clean, clean, 16_000).value == 0
    assert page_measures.si_sdr(clean, clean, 16_000).value == LIMIT_DB
    assert page_measures.loudness_difference(clean, clean, 16_000).value == 0


def test_a_measure_is_a_value_or_a_reason():
    one, silence = np.ones(1, np.float32), np.zeros(16_000, np.float32)
    clean, _ = pair(16_000, 16_000)
    for first, second in (
        (one, one),
        (silence, silence),
        (clean, silence),
        (silence, clean),
        (clean[:2000], clean[:2000]),
    ):
        for measure in page_measures.MEASURES:
            told = measure.compute(first, second, 16_000)
            assert (told.value is None) != (told.reason is None)
            assert told.value is None or math.isfinite(told.value)


def test_a_package_that_is_not_there_is_a_reason(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    clean, made = pair(16_000, 16_000)
    assert "pip install pesq" in page_measures.pesq(clean, made, 16_000).reason
    assert "pip install pystoi" in page_measures.stoi(clean, made, 16_000).reason
