"""The comparison of codecs by text to speech: every stage on tiny models, its files, and nothing made twice."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
import torch

from eval.reconstruction import metrics
from experiments.semantic import speech_scores, speech_stages, text_to_speech
from experiments.semantic.speech_stages import CodecUnderTest
from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.data.token_corpus import TokenCorpus
from soundcodec_llmcodec.nn.model import CodecModel

TEXTS = ("ab", "ba a", "a bab", "b")
LM = {
    "text": {"kind": "characters"},
    "steps": 2,
    "row_tokens": 96,
    "batch_rows": 2,
    "scratch": {"layers": 1, "width": 16, "heads": 2, "max_positions": 128},
    "validate_every": 1,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three splits of short tones with texts."""
    folder = tmp_path_factory.mktemp("spoken")
    draws = np.random.default_rng(0)
    for split in speech_stages.SPLITS:
        rows = []
        for index, text in enumerate(TEXTS):
            data = io.BytesIO()
            samples = 0.1 * np.sin(np.arange(6_400 + 320 * index) * (0.1 + 0.05 * draws.random()))
            soundfile.write(data, samples, 16_000, format="FLAC")
            audio = {"bytes": data.getvalue(), "path": "a.flac"}
            rows.append({"id": f"{split}-{index}", "audio": audio, "text": text})
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    """A codec of one level and one of two."""
    folder = tmp_path_factory.mktemp("codecs")
    for name, levels in (("one", 1), ("two", 2)):
        torch.manual_seed(levels)
        config = CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), "num_quantizers": levels})
        checkpoints.save(folder / name, config, CodecModel(config))
    return folder


def command(corpus, codecs, out, *more):
    (out.parent / "lm.yaml").write_text(json.dumps(LM))
    named = [f"one={codecs / 'one'}"]
    return [
        *("--corpus", str(corpus), "--codec", *named, "--out", str(out), "--lm-config", str(out.parent / "lm.yaml")),
        *("--sentences", "3", "--seconds", "0.3", "--metrics", "mel", *more),
    ]


def test_one_table_of_all_stages_and_nothing_is_made_twice(corpus, codecs, tmp_path, capsys, monkeypatch):
    out = tmp_path / "tts"
    assert text_to_speech.main(command(corpus, codecs, out)) == 0
    table = capsys.readouterr().out
    assert table.startswith("| LM | codes |")
    assert "| one | 512 | 450 |" in table
    assert "3 test sentences, 5 words" in table
    results = json.loads((out / "results.json").read_text())
    assert results["schema"] == "soundcodec-llmcodec/text-to-speech"
    (model,) = results["models"]
    assert model["training"]["steps"] in (1, 2)
    assert 0 < model["bits_per_token"][0] < 12
    assert results["scores"]["resynthesis"]["mel"]["summaries"]["one"]["n"] == 3
    rows = [json.loads(line) for line in (out / "sentences.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * 3
    speech = json.loads((out / "one" / "seed-0" / "speech" / "speech.json").read_text())
    assert [row["text"] for row in speech["sentences"]] == list(TEXTS[:3])

    def fail(*_args, **_settings):
        raise AssertionError("made again")

    for name in ("LMTrainer", "speak"):
        monkeypatch.setattr(speech_stages, name, fail)
    monkeypatch.setattr(speech_stages.LLMCodec, "encode_samples_batch", fail)
    assert text_to_speech.main(command(corpus, codecs, out)) == 0
    assert capsys.readouterr().out == table


def test_several_levels_give_the_first(corpus, codecs, tmp_path):
    plan = speech_stages.SpeechPlan(str(corpus), LM, sentences=3)
    codec = CodecUnderTest("two", str(codecs / "two")).load("cpu")
    tokens = speech_stages.make_tokens(codec, plan, tmp_path)
    source = speech_stages.source_of(tokens)
    assert (source.num_quantizers, source.vocabulary_size) == (1, 512)
    whole = [clip.codes for clip in TokenCorpus.open(f"{tmp_path / 'tokens-all'}:train").clips()]
    first = [clip.codes for clip in TokenCorpus.open(f"{tokens}:train").clips()]
    assert all(np.array_equal(one, both[::2]) for one, both in zip(first, whole, strict=True))


def test_a_codec_that_decodes_no_single_level_is_refused_before_any_work(corpus, codecs, tmp_path, capsys):
    named = ("--codec", f"one={codecs / 'one'}", f"two={codecs / 'two'}")
    assert text_to_speech.main(command(corpus, codecs, tmp_path / "tts", *named)) == 2
    assert "have 2 levels, not 1" in capsys.readouterr().err
    assert not (tmp_path / "tts").exists()


def test_all_words_are_errors_where_nothing_is_said(corpus, tmp_path):
    plan = speech_stages.SpeechPlan(str(corpus), LM, sentences=3)
    judges = metrics.named(["wer@whisper-base", "mel"])
    scores = speech_scores.scored(tmp_path, plan, judges)
    assert [(score.value, score.weight) for score in scores["wer@whisper-base"].values()] == [(1, 1), (1, 2), (1, 2)]
    assert {score.reason for score in scores["mel"].values()} == {"nothing is said"}


@pytest.mark.parametrize("text", ["=x", "a/b=x", "a=", ".a=x"])
def test_a_codec_is_named_and_placed(text):
    with pytest.raises(ValueError, match="NAME=FOLDER"):
        CodecUnderTest.parse(text)


def test_a_model_without_text_is_refused(corpus, codecs, tmp_path, capsys):
    out = tmp_path / "tts"
    assert text_to_speech.main(command(corpus, codecs, out, "--lm-config", "tiny")) == 2
    assert "reads no text" in capsys.readouterr().err
