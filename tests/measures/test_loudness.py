"""Loudness against BS.1770's own calibration and table, its recursive filters, and EBU Tech 3341's signals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal

from soundcodec_llmcodec.measures.loudness import filters, gain_beside, gain_to, k_weighted, loudness

RATE = 16_000


def tone(hz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_loudness_is_bs1770s(rate):
    # The standard's own calibration: a full-scale sine of 997 Hz in one channel reads -3.01 LUFS.
    assert loudness(tone(997, 5.0, rate), rate) == pytest.approx(-3.01, abs=0.05)
    # Low frequencies count less, high ones up to 4 dB more.
    assert loudness(tone(30, 5.0, rate), rate) < -10
    assert loudness(tone(5000, 5.0, rate), rate) == pytest.approx(-3.01 + 4.0 - 0.69, abs=0.3)


def test_filters_are_the_standards_table():
    (shelf, shelf_below), (above, below) = filters(48_000)
    np.testing.assert_allclose(shelf, (1.53512485958697, -2.69169618940638, 1.19839281085285), atol=1e-10)
    np.testing.assert_allclose(shelf_below, (1.0, -1.69065929318241, 0.73248077421585), atol=1e-10)
    np.testing.assert_allclose(above, (1.0, -2.0, 1.0))
    np.testing.assert_allclose(below, (1.0, -1.99004745483398, 0.99007225036621), atol=1e-10)


@pytest.mark.parametrize("rate", [4_000, 16_000, 44_100])
@pytest.mark.parametrize("n_samples", [1, 999, 70_001])
def test_weighting_is_what_recursive_filters_give(rate, n_samples):
    samples = np.random.default_rng(0).standard_normal(n_samples) + 0.5
    sections = np.array([[*above, *below] for above, below in filters(rate)])
    np.testing.assert_allclose(k_weighted(samples, rate), scipy.signal.sosfilt(sections, samples), atol=1e-10)


def test_any_rate_has_a_loudness():
    """At 2 kHz there is nothing for the shelf to raise; the high pass raises all by 1 dB there."""
    assert loudness(tone(500, 2.0, 2_000), 2_000) == pytest.approx(-3.01 - 0.69 + 1.0, abs=0.1)
    assert loudness(np.zeros(100), RATE) == loudness(np.zeros(100), RATE, gated=True) == -math.inf


def test_the_gate_drops_quiet_parts():
    """EBU Tech 3341's cases 3 and 4 in one channel: 3 dB below its two."""
    loud, quiet, silent = (10 ** (level / 20) * tone(1000, 10, 48_000) for level in (-23, -36, -72))
    third = np.concatenate([quiet, *[loud] * 6, quiet])
    assert loudness(third, 48_000, gated=True) == pytest.approx(-26.0, abs=0.1)
    assert loudness(np.concatenate([silent, third, silent]), 48_000, gated=True) == pytest.approx(-26.0, abs=0.1)
    assert loudness(third, 48_000) == pytest.approx(-26.0 + 10 * math.log10(6 / 8), abs=0.3)
    # Shorter than a block of the gate: the whole clip is its block.
    short = loud[:4_800]
    assert loudness(short, 48_000, gated=True) == pytest.approx(loudness(short, 48_000), abs=1e-9)


def test_gains_reach_their_loudness():
    draw = np.random.default_rng(0)
    fixed, added = 0.05 * draw.standard_normal(RATE), 0.1 * draw.standard_normal(RATE) + 0.3
    assert loudness(added * gain_to(added, RATE, -30.0), RATE) == pytest.approx(-30.0, abs=1e-6)
    gain = gain_beside(fixed, added, RATE, -20.0)
    assert loudness(fixed + gain * added, RATE) == pytest.approx(-20.0, abs=1e-6)
    # Correlated parts do not add by power.
    assert gain_beside(fixed, fixed, RATE, loudness(3 * fixed, RATE)) == pytest.approx(2.0, abs=1e-6)
    assert gain_beside(fixed, added, RATE, -60.0) is None
    with pytest.raises(ValueError, match="silent: no gain"):
        gain_to(np.zeros(RATE), RATE, -20.0)
