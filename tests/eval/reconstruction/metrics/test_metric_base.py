"""What every metric keeps to: reasons for bad signals, definitions, names, work on the reference done once."""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eval.harness import metric
from eval.reconstruction.metrics import ALL, DEFAULT, METRICS, SUPERB_NAMES, Score, Signal, named, require

ROOT = Path(__file__).resolve().parents[4]
RATE = 16_000
# All that needs no recogniser, voice encoder or predictor.
CORE = [*ALL, *SUPERB_NAMES]
AUDIBLE = ["pesq", "pesq_nb", "mcd", "stoi", "estoi", "f0corr", "f0_rmse", "voicing_error", "si_sdr"]


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_says_what_it_is(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.direction in ("lower", "higher")
    assert metric.arrow == {"lower": "↓", "higher": "↑"}[metric.direction]
    assert len(metric.definition) > 30
    assert metric.unit
    assert metric.source
    assert metric.version >= 1
    low, high = metric.value_range
    assert high is None or low < high
    assert metric.extra is None or metric.needs
    assert named([name]) == (metric,)


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("mel", 0.0),
        ("stft", 0.0),
        ("waveform", 0.0),
        ("mcd", 0.0),
        ("pesq", 4.6439),
        ("pesq_nb", 4.5486),
        ("stoi", 1.0),
        ("estoi", 1.0),
        ("f0corr", 1.0),
        ("f0_rmse", 0.0),
        ("voicing_error", 0.0),
        ("si_sdr", 100.0),
    ],
)
def test_identical_clips_score_the_best_value(name, best, speech, score):
    clip = speech[2]
    assert score(name, clip.samples, clip.samples.copy(), clip.rate).value == pytest.approx(best, abs=1e-3)
    low, high = METRICS[name].value_range
    assert best == pytest.approx(low if METRICS[name].direction == "lower" else high, abs=0.01)


def test_every_metric_gets_worse_with_more_noise(speech, hiss):
    clip = speech[2]
    reference = Signal(clip.samples, clip.rate)
    noisy = [Signal(clip.samples + hiss(len(clip.samples), scale=s), clip.rate) for s in (0.001, 0.02, 0.1)]
    for name in CORE:
        metric = METRICS[name]
        values = [metric.score(reference, estimate).value for estimate in noisy]
        assert values == sorted(values, reverse=metric.direction == "higher"), name
        low, high = metric.value_range
        assert all(low <= value and (high is None or value <= high) for value in values), name


@pytest.mark.parametrize("name", AUDIBLE)
def test_silence_gives_a_reason(name, speech, score):
    clip = speech[2]
    silent = np.zeros_like(clip.samples)
    assert score(name, clip.samples, silent, clip.rate) == Score(reason="the estimate is silent")
    assert score(name, silent, clip.samples, clip.rate) == Score(reason="the reference is silent")


@pytest.mark.parametrize("name", ["pesq", "pesq_nb", "stoi", "estoi", "f0corr", "f0_rmse", "voicing_error"])
@pytest.mark.parametrize("n", [20, 300, 900])
def test_clips_too_short_give_a_reason(name, n, speech, score, hiss):
    short = speech[2].samples[16_000 : 16_000 + n]
    result = score(name, short, short + hiss(n, scale=0.01))
    assert result.value is None
    assert any(words in result.reason for words in ("too short", "less than 0.4 s of sound", "PESQ takes 0.25"))


@pytest.mark.parametrize("name", list(METRICS))
def test_nan_and_empty_give_reasons(name, hiss, score):
    x = hiss(RATE)
    broken = x.copy()
    broken[5] = np.nan
    assert score(name, x, broken).reason == "the estimate holds NaN or infinity"
    assert score(name, x[:0], x).reason == "the reference is empty"


def test_the_shorter_signal_is_padded_with_zeros(hiss, score):
    x = hiss(RATE)
    cut = x[:12_000]
    padded = np.concatenate([cut, np.zeros(4000, np.float32)])
    for name in ("mel", "stft", "waveform", "si_sdr"):
        assert score(name, x, cut) == score(name, x, padded)
        assert score(name, cut, x) == score(name, padded, x)


def test_different_rates_are_refused(hiss):
    with pytest.raises(ValueError, match=r"16000 Hz.*8000 Hz"):
        METRICS["mel"].score(Signal(hiss(RATE), RATE), Signal(hiss(RATE), 8000))


def test_scoring_changes_neither_signal(speech):
    clip = speech[2]
    estimate = clip.samples * np.float32(0.9)
    before = clip.samples.copy(), estimate.copy()
    reference = Signal(clip.samples, clip.rate)
    for name in CORE:
        METRICS[name].score(reference, Signal(estimate, clip.rate))
    np.testing.assert_array_equal(clip.samples, before[0])
    np.testing.assert_array_equal(estimate, before[1])


class Counting(Signal):
    """A signal that counts what is made of it."""

    made = 0

    def derived(self, key, make):
        def counted():
            self.made += 1
            return make()

        return super().derived(key, counted)


@pytest.mark.parametrize("name", sorted(set(CORE) - {"waveform", "superb:waveform", "pesq", "pesq_nb"}))
def test_a_second_estimate_costs_the_reference_nothing(name, speech, hiss):
    clip = speech[2]
    rate = 24_000  # whatever the clip's is: superb:pesq resamples
    reference = Counting(clip.samples, rate)
    made = []
    for seed in (0, 1):
        assert METRICS[name].score(reference, Signal(clip.samples + hiss(len(clip.samples), seed, 0.01), rate)).value
        made.append(reference.made)
    assert made[0] == made[1] > 0


def test_a_reference_that_is_padded_is_padded_once(speech):
    clip = speech[2]
    reference = Signal(clip.samples, clip.rate)
    assert reference.padded(len(reference) + 5) is reference.padded(len(reference) + 5)
    assert reference.padded(len(reference)) is reference


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
    with pytest.raises(ValueError, match="weight"):
        Score(1.0, weight=0.0)
    assert Score.of(float("inf")).reason == "the metric gave inf"


def test_default_and_all():
    assert DEFAULT == ("mel", "stft", "pesq", "stoi", "f0corr")
    assert [metric.name for metric in named(["all"])] == list(ALL)
    assert set(ALL) == {name for name in METRICS if not name.startswith("superb:")} - {
        *(f"{name}{by}" for name in ("wer", "cer", "dwer") for by in ("", "@whisper-base", "_capped")),
        *(f"{name}_capped@whisper-base" for name in ("wer", "cer", "dwer")),
        "speaker_sim",
        "phone_error",
        *("dnsmos", "dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808", "distillmos", "plcmos"),
    }
    assert [metric.name for metric in named(["stoi", "all", "stoi", "wer"])] == [
        "stoi",
        *(name for name in ALL if name != "stoi"),
        "wer",
    ]
    assert [*SUPERB_NAMES] == [f"superb:{n}" for n in ("mel", "stft", "waveform", "pesq", "stoi", "f0corr")]


@pytest.mark.parametrize(
    ("typed", "nearest"), [("pesk", "pesq"), ("sisdr", "si_sdr"), ("superb-mel", "superb:mel"), ("ALL", None)]
)
def test_an_unknown_metric_suggests_the_nearest(typed, nearest):
    hint = f"; did you mean '{nearest}'\\?" if nearest else "\\."
    with pytest.raises(ValueError, match=f"no metric is called '{typed}'{hint}.*all, mel, stft"):
        named([typed])


def test_a_worker_starts_without_torch_and_without_models():
    heavy = ["torch", "distillmos", "faster_whisper", "hama", "onnxruntime", "resemblyzer", "speechmos", "transformers"]
    code = f"import sys, eval.reconstruction.scoring; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_is_not_installed_is_said_with_the_extra(monkeypatch):
    there = importlib.machinery.ModuleSpec("there", None)
    monkeypatch.setattr(metric.importlib.util, "find_spec", lambda name: None if name == "speechmos" else there)
    require(named(["all", "wer", "speaker_sim"]))
    expected = (
        r"dnsmos needs the package speechmos, which is not installed: pip install 'soundcodec-llmcodec\[eval-all\]'"
    )
    with pytest.raises(ValueError, match=expected):
        require(named(["mel", "dnsmos"]))


def test_what_no_extra_can_install_says_how(monkeypatch):
    monkeypatch.setattr(metric.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"distillmos needs .*: pip install --no-deps distillmos xls_r_sqa$"):
        require(named(["distillmos"]))
