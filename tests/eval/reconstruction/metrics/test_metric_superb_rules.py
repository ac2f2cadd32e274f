"""Codec-SUPERB's rules: what they turn into numbers, what they leave out, at which rate they listen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eval.reconstruction.metrics import METRICS, SUPERB_NAMES, Score, Signal, superb_rules

RATE = 16_000


def test_failures_are_its_numbers(speech, hiss, score):
    clip = speech[2]
    silent = np.zeros_like(clip.samples)
    for pair in ((clip.samples, silent), (silent, clip.samples), (silent, silent)):
        values = {name: score(f"superb:{name}", *pair, clip.rate).value for name in ("pesq", "stoi", "f0corr")}
        assert values == {"pesq": 1.0, "stoi": 0.0, "f0corr": 0.0}
    short = clip.samples[16_000:17_600]
    assert [score(f"superb:{name}", short, 0.9 * short).value for name in ("pesq", "stoi")] == [1.0, 0.0]
    noise = hiss(RATE)
    assert score("superb:f0corr", noise, hiss(RATE, 1)).value == 0.0


def test_a_spectrum_of_too_few_samples_has_no_value_there_either(hiss, score):
    for name in ("superb:mel", "superb:stft"):
        assert "too few" in score(name, hiss(900), hiss(900, 1)).reason


@pytest.mark.parametrize("name", SUPERB_NAMES)
def test_clips_over_two_minutes_are_left_out(name):
    long = Signal(np.linspace(-1, 1, 120 * 1000 + 1, dtype=np.float32), 1000)
    assert METRICS[name].score(long, long).reason == "120 s: Codec-SUPERB leaves out clips over 120 s"
    assert "Codec-SUPERB's rules" in METRICS[name].definition


def test_stoi_is_cut_at_zero(hiss, score):
    """Noise that swells where the reference's falls."""
    swell = 0.9 * np.sin(2 * np.pi * 4 * np.arange(2 * RATE) / RATE)
    reference, opposite = (((1 + sign * swell) * hiss(2 * RATE)).astype(np.float32) for sign in (1, -1))
    assert score("stoi", reference, opposite).value < -0.1
    assert score("superb:stoi", reference, opposite) == Score(0.0)


def test_pitch_is_that_of_16_khz_declared_as_22050(harmonics, monkeypatch):
    seen = []
    track = superb_rules.pitch._track
    monkeypatch.setattr(
        superb_rules.pitch, "_track", lambda samples, rate: seen.append((len(samples), rate)) or track(samples, rate)
    )
    for rate in (16_000, 48_000):
        t = np.arange(rate) / rate
        signal = Signal(harmonics(150 + 30 * np.sin(6 * t), rate), rate)
        assert METRICS["superb:f0corr"].score(signal, signal).value == pytest.approx(1.0)
    assert seen == [(16_000, 22_050)] * 2


@pytest.mark.parametrize("old", [8_000, 22_050, 44_100, 48_000])
def test_its_resampler_by_the_formula(old, hiss):
    """Each output is the mean of the samples around its time, weighted by sinc times cos^2 up to 24 zeros."""
    samples = hiss(old // 4 + 7)
    found = superb_rules._windowed_sinc(samples, old, 16_000)
    assert found.dtype == np.float32
    assert len(found) == len(samples) * 16_000 // old
    cutoff = 0.945 * min(old, 16_000)
    times = np.arange(-500, len(samples) + 500) / old
    repeated = np.pad(samples.astype(np.float64), 500, mode="edge")
    for index in (0, 1, 777, len(found) - 1):
        place = torch.from_numpy((times - index / 16_000) * cutoff).clamp(-24, 24)
        weights = (torch.sinc(place) * torch.cos(torch.pi * place / 48) ** 2).numpy()
        assert found[index] == pytest.approx(weights @ repeated / weights.sum(), abs=2e-6)


def test_what_is_derived_of_the_reference_is_not_shared_with_the_other_rules(speech, hiss):
    clip = speech[2]
    estimate = clip.samples + hiss(len(clip.samples), scale=0.02)
    names = ["stoi", "superb:stoi", "f0corr", "superb:f0corr", "pesq", "superb:pesq"]
    together = Signal(clip.samples, 24_000)
    values = [METRICS[name].score(together, Signal(estimate, 24_000)) for name in names]
    alone = [METRICS[name].score(Signal(clip.samples, 24_000), Signal(estimate, 24_000)) for name in names]
    assert values == alone
    assert values[2] != values[3]
