"""Metrics: values worked out by hand or by another route, and reasons where there is no value."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from eval.metrics import METRICS, Score, Signal, named

RATE = 16_000


def noise(n: int, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def score(name: str, reference: np.ndarray, estimate: np.ndarray, rate: int = RATE) -> Score:
    return METRICS[name].score(Signal(reference, rate), Signal(estimate, rate))


def torch_magnitude(samples: np.ndarray, window: int) -> np.ndarray:
    signal = torch.from_numpy(samples)
    spectrum = torch.stft(signal, window, window // 4, window=torch.hann_window(window), return_complex=True)
    return spectrum.abs().numpy().T


@pytest.mark.parametrize(("name", "best"), [("mel", 0.0), ("stft", 0.0), ("pesq", 4.6439), ("stoi", 1.0)])
def test_identical_clips_score_the_best_value(name, best, speech):
    clip = speech[2]
    assert score(name, clip.samples, clip.samples.copy(), clip.rate).value == pytest.approx(best, abs=1e-3)


def test_halving_a_signal_moves_stft_by_what_the_formula_says():
    x = noise(RATE)
    # Every bin of noise lies above the floor: log10(M^2) - log10((M/2)^2) = log10(4); |M - M/2| = M/2.
    expected = sum(math.log10(4) + 0.5 * float(torch_magnitude(x, w).mean()) for w in (2048, 512))
    assert score("stft", x, 0.5 * x).value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_mel_equals_the_formula_on_torchs_spectrogram(rate):
    x, y = noise(rate), noise(rate, seed=1, scale=0.03)
    expected = 0.0
    for bands, window in ((150, 2048), (80, 512)):
        basis = librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands)
        a, b = (torch_magnitude(s, window) @ basis.T for s in (x, y))
        logs = [np.log10(np.maximum(m, 1e-5) ** 2) for m in (a, b)]
        expected += np.abs(logs[0] - logs[1]).mean() + np.abs(a - b).mean()
    assert score("mel", x, y, rate).value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [("mel", 2.80444, 3e-3), ("stft", 4.06927, 4e-3), ("pesq", 1.72228, 5e-3), ("stoi", 0.976544, 1e-3)],
)
def test_golden_values_of_a_noisy_clip(name, value, tolerance, speech):
    clip = next(clip for clip in speech if clip.clip_id == "speech-03")
    noisy = clip.samples + noise(len(clip.samples), scale=1.0) * np.float32(0.01)
    assert score(name, clip.samples, noisy, clip.rate).value == pytest.approx(value, abs=tolerance)


def test_a_shift_by_one_sample_is_noticed_and_forgiven(speech):
    clip = speech[2]
    shifted = np.concatenate([np.zeros(1, np.float32), clip.samples[:-1]])
    values = {name: score(name, clip.samples, shifted, clip.rate).value for name in METRICS}
    assert 0 < values["mel"] < 0.05
    assert 0 < values["stft"] < 0.1
    assert values["pesq"] > 4.6
    assert values["stoi"] > 0.999


def test_every_metric_gets_worse_with_more_noise(speech):
    clip = speech[2]
    for metric in METRICS.values():
        values = [
            metric.score(
                Signal(clip.samples, clip.rate), Signal(clip.samples + noise(len(clip.samples), scale=s), clip.rate)
            ).value
            for s in (0.001, 0.01, 0.1)
        ]
        assert values == sorted(values, reverse=metric.direction == "higher"), metric.name
        low, high = metric.value_range
        assert all(low <= value and (high is None or value <= high) for value in values)


@pytest.mark.parametrize("name", ["pesq", "stoi"])
def test_silence_gives_a_reason(name, speech):
    clip = speech[2]
    silent = np.zeros_like(clip.samples)
    assert score(name, clip.samples, silent, clip.rate) == Score(reason="the estimate is silent")
    assert score(name, silent, clip.samples, clip.rate) == Score(reason="the reference is silent")


@pytest.mark.parametrize("name", ["pesq", "stoi"])
def test_a_tenth_of_a_second_gives_a_reason(name, speech):
    short = speech[2].samples[16_000:17_600]
    result = score(name, short, short + noise(1600, scale=0.01))
    assert result.value is None
    assert "s" in result.reason


@pytest.mark.parametrize("name", ["mel", "stft"])
def test_spectral_distances_need_more_than_half_a_window(name):
    assert score(name, noise(1024), noise(1024, 1)).reason == "1024 samples are too few: more than 1024 are needed"
    assert score(name, noise(1025), noise(1025, 1)).value > 0


def test_pesq_without_an_utterance_is_a_reason_and_not_the_worst_score(mini):
    rain = next(mini.clips("Audio"))
    result = score("pesq", rain.samples, rain.samples, rain.rate)
    assert result.value is None
    assert "utterance" in result.reason.lower()


def test_a_clip_too_long_for_pesq_gives_a_reason():
    long = noise(121 * RATE)
    assert "120 s" in score("pesq", long, long).reason


def test_the_shorter_signal_is_padded_with_zeros():
    x = noise(RATE)
    cut = x[:12_000]
    padded = np.concatenate([cut, np.zeros(4000, np.float32)])
    for name in ("mel", "stft"):
        assert score(name, x, cut) == score(name, x, padded)
        assert score(name, cut, x) == score(name, padded, x)


@pytest.mark.parametrize("name", list(METRICS))
def test_nan_and_empty_give_reasons(name):
    x = noise(RATE)
    broken = x.copy()
    broken[5] = np.nan
    assert score(name, x, broken).reason == "the estimate holds NaN or infinity"
    assert score(name, x[:0], x).reason == "the reference is empty"


def test_different_rates_are_refused():
    with pytest.raises(ValueError, match=r"16000 Hz.*8000 Hz"):
        METRICS["mel"].score(Signal(noise(RATE), RATE), Signal(noise(RATE), 8000))


def test_a_signal_is_mono_float32():
    with pytest.raises(ValueError, match="float64"):
        Signal(np.zeros(10), RATE)
    with pytest.raises(ValueError, match=r"\(2, 10\)"):
        Signal(np.zeros((2, 10), np.float32), RATE)


def test_a_score_is_a_finite_value_or_a_reason():
    with pytest.raises(ValueError, match="a value or a reason"):
        Score()
    with pytest.raises(ValueError, match="a value or a reason"):
        Score(1.0, "both")
    with pytest.raises(ValueError, match="finite"):
        Score(float("nan"))
    assert Score.of(float("inf")).reason == "the metric gave inf"


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.direction in ("lower", "higher")
        assert all((metric.definition, metric.unit, metric.source))
        assert metric.version >= 1
    assert [metric.name for metric in named(["stoi", "mel"])] == ["stoi", "mel"]


def test_an_unknown_metric_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"no metric is called 'pesk'; did you mean 'pesq'\?.*mel, stft"):
        named(["pesk"])


def test_scoring_changes_neither_signal(speech):
    clip = speech[2]
    estimate = clip.samples * np.float32(0.9)
    before = clip.samples.copy(), estimate.copy()
    for name in METRICS:
        score(name, clip.samples, estimate, clip.rate)
    np.testing.assert_array_equal(clip.samples, before[0])
    np.testing.assert_array_equal(estimate, before[1])
