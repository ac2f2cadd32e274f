"""Stretching and splicing."""

from __future__ import annotations

import numpy as np
import pytest

from eval.salmon.build.splicing import halves, joined, quietest, spoken
from eval.salmon.build.stretching import revoiced, stretched

RATE = 16_000


def tone(hz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def pitch_of(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum) * RATE / (1 << 18))


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.18])
def test_stretching_changes_the_duration_only(factor):
    source = tone(220) + 0.3 * tone(440)
    n = round(factor * len(source))
    made = stretched(source, n, RATE)
    assert len(made) == n
    assert pitch_of(made) == pytest.approx(220, rel=0.01)
    middle = slice(n // 4, 3 * n // 4)
    assert np.sqrt(np.mean(made[middle] ** 2)) == pytest.approx(np.sqrt(np.mean(source**2)), rel=0.05)
    # The beginning is where the splice is: nothing may move there.
    assert np.allclose(made[:100], source[:100], atol=0.05)
    if factor == 1.0:
        assert np.array_equal(made, source)


def test_a_stretched_burst_stays_one_burst_at_its_place():
    source = np.zeros(RATE)
    source[RATE // 2 : RATE // 2 + 800] = tone(300, 0.05)
    made = stretched(source, round(1.1 * RATE), RATE)
    loud = np.flatnonzero(np.abs(made) > 0.5)
    assert loud[0] / RATE == pytest.approx(0.55, abs=0.02)
    assert (loud[-1] - loud[0]) / RATE < 0.09


def test_revoicing_scales_pitch_and_keeps_the_length():
    made = revoiced(tone(200), 1.25, RATE)
    assert len(made) == RATE
    assert pitch_of(made) == pytest.approx(250, rel=0.01)


def test_a_recording_joined_to_its_own_rest_is_the_recording():
    source = np.random.default_rng(1).standard_normal(2000)
    made = joined(source[:1040], source[960:], 80)
    assert np.allclose(made, source)
    first, second = halves(source, 1000, 80)
    assert np.allclose(first + second, source)
    assert not first[1040:].any()
    assert not second[:960].any()


def test_equal_power_keeps_the_level_of_unlike_noises():
    draw = np.random.default_rng(2)
    made = joined(draw.standard_normal(40_000), draw.standard_normal(40_000), 20_000, equal_power=True)
    assert np.mean(made[20_000:40_000] ** 2) == pytest.approx(1.0, abs=0.05)


def test_the_quietest_place_is_in_the_pause_and_in_the_range():
    source = tone(200, 2.0)
    source[RATE : RATE + 800] *= 0.01
    assert RATE <= quietest(source, RATE, 0.5, 1.5) <= RATE + 800
    assert quietest(source, RATE, 0.2, 0.5) <= 0.5 * RATE


@pytest.mark.parametrize("noise", [1e-4, 0.03])
def test_silence_and_noise_around_speech_are_left_out(noise):
    source = noise * np.random.default_rng(3).standard_normal(3 * RATE)
    source[RATE : 2 * RATE] += tone(200)
    start, end = spoken(source, RATE)
    assert start / RATE == pytest.approx(0.95, abs=0.03)
    assert end / RATE == pytest.approx(2.05, abs=0.03)
