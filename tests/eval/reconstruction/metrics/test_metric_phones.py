"""Phone errors: against what the same recogniser reads in the reference."""

from __future__ import annotations

import numpy as np
import pytest

from eval.reconstruction.metrics import METRICS, Score, Signal, phone_error

RATE = 16_000
METRIC = METRICS["phone_error"]


@pytest.fixture
def reads(monkeypatch):
    """A recogniser that reads what it is told by a signal's first sample, and the calls of it."""
    calls = []

    class Stub:
        def __init__(self, spoken):
            self.spoken = spoken

        def __call__(self, samples, rate):
            assert rate == RATE
            calls.append(float(samples[0]))
            return type("Result", (), {"phonemes": list(self.spoken[calls[-1]])})

    def tell(spoken: dict[float, str]) -> list[float]:
        monkeypatch.setattr(phone_error, "_recogniser", lambda: Stub(spoken))
        return calls

    return tell


def _fail(samples, rate):
    raise RuntimeError("hama_asr_run failed")


def signal(first: float) -> Signal:
    samples = np.linspace(0, 0.5, RATE, dtype=np.float32)
    samples[0] = first
    return Signal(samples, RATE)


def test_phone_errors_by_hand_weigh_the_phones_of_the_reference(reads):
    calls = reads({0.0: "kæt", 0.25: "kæp", 0.5: "ækts"})
    reference = signal(0.0)
    assert METRIC.score(reference, signal(0.25)) == Score(1 / 3, weight=3.0)
    assert METRIC.score(reference, signal(0.5)) == Score(1.0, weight=3.0)
    assert calls.count(0.0) == 1
    assert METRIC.score(reference, Signal(np.zeros(RATE, np.float32), RATE)) == Score(1.0, weight=3.0)


def test_what_has_no_phones_has_a_reason(reads, monkeypatch):
    reads({0.0: "", 0.25: "kæt"})
    assert METRIC.score(signal(0.0), signal(0.25)).reason == "the recogniser read no phones in the reference"
    short = Signal(signal(0.25).samples[:1000], RATE)
    assert METRIC.score(short, short).reason == "0.0625 s: phones are read in 0.1 to 120 s"
    monkeypatch.setattr(phone_error, "_recogniser", lambda: _fail)
    assert METRIC.score(signal(0.25), signal(0.25)).reason == "the phoneme recogniser: hama_asr_run failed"
    monkeypatch.setattr(phone_error, "_recogniser", lambda: None)
    assert "no compiled part" in METRIC.score(signal(0.25), signal(0.25)).reason


def test_a_machine_without_the_compiled_part(monkeypatch):
    hama = pytest.importorskip("hama")

    def refuse(**options):
        raise RuntimeError("libhama not available")

    monkeypatch.setattr(hama, "ASRModel", refuse)
    phone_error._recogniser.cache_clear()
    try:
        assert phone_error._recogniser() is None
    finally:
        phone_error._recogniser.cache_clear()


def test_the_recogniser_takes_the_likeliest_token_of_each_frame(speech):
    hama = pytest.importorskip("hama")
    clip = speech[2]
    samples = Signal(clip.samples, clip.rate).at(RATE)
    model = hama.ASRModel()
    (log_probs,) = model.session.run(["log_probs"], {"waveform": samples})
    tokens = log_probs[0].argmax(axis=-1)
    kept = [token for token, before in zip(tokens, [-1, *tokens], strict=False) if token != before]
    names = [model.decoder_tokens[token] for token in kept if token != model.blank_id]
    assert phone_error._phones(Signal(clip.samples, clip.rate)) == tuple(name for name in names if name != "<wb>")


def test_phone_errors_of_real_speech(speech, hiss):
    pytest.importorskip("hama")
    clip = speech[2]
    reference = Signal(clip.samples, clip.rate)
    same, noisy = (
        METRIC.score(reference, Signal(clip.samples + hiss(len(clip.samples), scale=scale), clip.rate))
        for scale in (0.0, 0.05)
    )
    assert same.value == 0.0
    assert 20 < same.weight < 80
    assert 0.1 < noisy.value < 1.0
