"""PESQ, STOI, ESTOI and SI-SDR: by their packages, by hand, and where they have no value."""

from __future__ import annotations

import math

import numpy as np
import pesq
import pystoi
import pytest

from eval.reconstruction.metrics import METRICS, Signal

RATE = 16_000


@pytest.mark.parametrize(("name", "extended"), [("stoi", False), ("estoi", True)])
@pytest.mark.parametrize("rate", [8_000, 10_000, 16_000, 44_100])
def test_values_are_pystois(name, extended, rate, speech, hiss, score):
    clip = speech[3]
    # Taken for samples at another rate: only the resampling differs. A long silence leaves frames to cut out.
    x = np.concatenate([clip.samples, np.zeros(9_000, np.float32), clip.samples[:20_011]])
    y = (0.8 * x + hiss(len(x), scale=0.02)).astype(np.float32)
    assert score(name, x, y, rate).value == pytest.approx(pystoi.stoi(x, y, rate, extended), abs=1e-6)


@pytest.mark.parametrize("name", ["stoi", "estoi"])
def test_half_empty_bands_give_no_nan(name, speech, score):
    """Digital silence in the middle of an estimate: segments without energy correlate with nothing."""
    clip = speech[2]
    estimate = clip.samples.copy()
    estimate[len(estimate) // 3 : -len(estimate) // 3] = 0
    value = score(name, clip.samples, estimate, clip.rate).value
    assert 0.2 < value < 0.9
    assert score(name, clip.samples, estimate, clip.rate).value == value


@pytest.mark.parametrize("name", ["stoi", "estoi"])
def test_a_click_in_silence_is_too_little_sound(name, score):
    x = np.zeros(RATE, np.float32)
    x[8_000:8_200] = 0.5 * np.sin(np.arange(200))
    assert "less than 0.4 s of sound" in score(name, x, 0.5 * x).reason


def test_narrow_band_pesq_is_the_packages_and_hears_no_high_frequencies(speech, score):
    clip = speech[2]
    spectrum, hertz = np.fft.rfft(clip.samples), np.fft.rfftfreq(len(clip.samples), 1 / clip.rate)
    dull = np.fft.irfft(np.where(hertz < 3_800, spectrum, 0), len(clip.samples)).astype(np.float32)
    narrow = score("pesq_nb", clip.samples, dull, clip.rate).value
    assert narrow == pytest.approx(pesq.pesq(RATE, Signal(clip.samples, clip.rate).at(RATE), dull, "nb"))
    assert narrow > 4.4 > score("pesq", clip.samples, dull, clip.rate).value


def test_pesq_without_an_utterance_is_a_reason_and_not_the_worst_score(mini):
    rain = next(mini.clips("Audio"))
    result = METRICS["pesq"].score(Signal(rain.samples, rain.rate), Signal(rain.samples, rain.rate))
    assert result.value is None
    assert "utterance" in result.reason.lower()


def test_a_clip_too_long_for_pesq_gives_a_reason(hiss, score):
    long = hiss(121 * RATE)
    assert "120 s" in score("pesq", long, long).reason


def test_si_sdr_of_orthogonal_distortion():
    """A tone, and a tone of another frequency a tenth as large: 20 dB, whatever scale and offset."""
    t = np.arange(RATE) / RATE
    reference = np.sin(2 * np.pi * 400 * t)
    estimate = 0.37 * (reference + 0.1 * np.sin(2 * np.pi * 700 * t)) + 0.05
    pair = [Signal(samples.astype(np.float32), RATE) for samples in (reference, estimate)]
    assert METRICS["si_sdr"].score(*pair).value == pytest.approx(20.0, abs=1e-4)


def test_si_sdr_of_three_samples_by_hand(score):
    # r = (-1, 0, 1), e = (-1, -1, 2): <e, r> = 3, t = 1.5 r, |t|^2 = 4.5, e - t = (0.5, -1, 0.5), of energy 1.5.
    result = score("si_sdr", np.array([-1, 0, 1], np.float32), np.array([-1, -1, 2], np.float32))
    assert result.value == pytest.approx(10 * math.log10(3))


def test_si_sdr_ends_at_100_db(score):
    x = np.array([1, -1, 1, -1], np.float32)
    assert score("si_sdr", x, 0.5 * x).value == 100.0
    assert score("si_sdr", x, np.array([1, 1, -1, -1], np.float32)).value == -100.0
