"""Training with text: it stands before the tokens and is not scored, runs resume exactly, and bad clips are counted."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from spoken_sentences import SENTENCES, spoken, write_spoken
from transformers import AutoTokenizer

from soundcodec_llmcodec.lm.lm_folder import read_neural
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.training.lm_config import make_config
from soundcodec_llmcodec.lm.training.lm_export import export_run
from soundcodec_llmcodec.lm.training.lm_trainer import LMTrainer
from soundcodec_llmcodec.lm.training.lm_validation import validate
from soundcodec_llmcodec.lm.training.packing import UNSCORED, PackedPiece, clip_positions, collate
from soundcodec_llmcodec.lm.training.spoken_clips import open_spoken_clips
from soundcodec_llmcodec.runs.errors import TrainConfigError


@pytest.fixture
def spoken_settings(settings, source, tmp_path):
    """The settings of a run with text, without dropout."""
    folder = write_spoken(tmp_path / "spoken", source)
    write_spoken(folder, source, SENTENCES[1:3], "validation")
    places = {"tokens": [f"{folder}:train"], "validation": [f"{folder}:validation"]}
    return {**settings, **places, "text": {"kind": "characters"}}


def trainer(settings, folder, **changes) -> LMTrainer:
    return LMTrainer(make_config({**settings, **changes}), folder, progress=False)


def test_the_text_stands_before_the_tokens_and_is_not_scored(spoken_settings, source, tmp_path):
    run = trainer(spoken_settings, tmp_path / "run")
    layout, size = run.state.network.layout, source.vocabulary_size
    assert run.characters == " abcd"
    assert (layout.bos_id, layout.eos_id, layout.text_id) == (size, size + 1, size + 2)
    codes = spoken("cab", size).tolist()
    length = 3 + 1 + len(codes)
    assert clip_positions(layout, run.clips)[1] == length
    batch = collate([(PackedPiece(1, 0, length),)], run.clips, layout)
    text = [size + 2 + " abcd".index(sign) for sign in "cab"]
    assert batch.ids[0].tolist() == [*text, size, *codes]
    assert batch.targets[0].tolist() == [UNSCORED] * 3 + [*codes, size + 1]


@pytest.mark.parametrize("kind", ["free", "codebook"])
def test_another_text_changes_the_loss_and_gets_a_gradient(spoken_settings, tmp_path, kind):
    """The tokens are predicted from the text, which is no target itself."""
    scratch = {**spoken_settings["scratch"], "dropout": 0.0, "token_dropout": 0.0, "rows": {"kind": kind}}
    run = trainer(spoken_settings, tmp_path / "run", scratch=scratch)
    network = run.state.network
    batch = collate([(PackedPiece(1, 0, 4 + len(run.clips.clip(1))),)], run.clips, network.layout)
    before = network(batch)
    before.backward()
    other = dataclasses.replace(batch, ids=batch.ids.clone())
    other.ids[0, 0] += 1
    assert not torch.isclose(network(other), before, rtol=1e-6)
    assert validate(network, run.clips).tokens == len(run.clips.tokens)


def test_a_resumed_run_with_text_ends_with_the_same_weights(spoken_settings, tmp_path):
    whole = trainer(spoken_settings, tmp_path / "whole")
    whole.run()
    trainer(spoken_settings, tmp_path / "parts", steps=8).run(max_seconds=0)
    last = trainer(spoken_settings, tmp_path / "parts")
    assert 0 < last.state.step < 8
    last.run()
    expected, resumed = (run.state.network.trained() for run in (whole, last))
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    with pytest.raises(TrainConfigError, match="characters"):
        trainer(spoken_settings, tmp_path / "parts", text={"kind": "characters", "characters": " abcde"})


def test_a_text_that_differs_is_another_run(spoken_settings, source, tmp_path):
    trainer(spoken_settings, tmp_path / "run").run()
    texts = ("ab ab", *SENTENCES[1:])
    folder = tmp_path / "other"
    write_spoken(folder, source, texts)
    with pytest.raises(TrainConfigError, match="training clips differ"):
        trainer(spoken_settings, tmp_path / "run", tokens=[f"{folder}:train"])


def test_clips_that_cannot_be_trained_on_are_counted(source, tmp_path):
    texts = ("ab", None, "  ", "a" * 30, "bé", "b, a!")
    folder = write_spoken(tmp_path / "spoken", source, texts)
    spoken_clips = open_spoken_clips([f"{folder}:train"], 40, " ab")
    assert len(spoken_clips.clips) == 2
    assert spoken_clips.left_out == {"without text": 2, "with unknown characters": 1, "too long": 1}
    assert spoken_clips.dropped == {",": 1, "!": 1}
    assert "2 clips without text" in spoken_clips.summary
    assert open_spoken_clips([f"{folder}:train"], 200).characters == " !,abé"
    assert np.array_equal(spoken_clips.clips.text(1), [2, 0, 1])


def test_what_is_left_out_is_in_the_log(spoken_settings, source, tmp_path):
    folder = write_spoken(tmp_path / "more", source, (*SENTENCES, None))
    trainer(spoken_settings, tmp_path / "run", tokens=[f"{folder}:train"]).run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any("1 clips without text" in json.dumps(row) for row in rows)


def test_what_cannot_be_spoken_is_refused(spoken_settings, source, tmp_path):
    levels = dataclasses.replace(source, num_quantizers=2, codec_hash="c" * 64)
    folder = write_spoken(tmp_path / "levels", levels)
    with pytest.raises(TrainConfigError, match=r"2 levels.*levels=1"):
        trainer(spoken_settings, tmp_path / "run", tokens=[f"{folder}:train"], validation=[])
    folder = write_spoken(tmp_path / "silent", source, (None, None))
    with pytest.raises(TrainConfigError, match="none of the 2 clips"):
        trainer(spoken_settings, tmp_path / "run", tokens=[f"{folder}:train"])
    with pytest.raises(TrainConfigError, match=r"no clip of .* is left"):
        trainer(spoken_settings, tmp_path / "run", row_tokens=6)
    with pytest.raises(TrainConfigError, match="start: scratch"):
        make_config({**spoken_settings, "start": "finetune"})
    with pytest.raises(TrainConfigError, match=r"text.kind: characters"):
        make_config({"text": {"characters": "abc"}})


@pytest.mark.parametrize("kind", ["free", "codebook"])
def test_the_folder_says_what_is_spoken(spoken_settings, source, tmp_path, kind):
    scratch = {**spoken_settings["scratch"], "rows": {"kind": kind}}
    run = trainer(spoken_settings, tmp_path / "run", scratch=scratch)
    run.run()
    export_run(tmp_path / "run", tmp_path / "lm", "last")
    text = read_neural(tmp_path / "lm").text
    assert text is not None
    assert (text.characters, text.first_id) == (" abcd", source.vocabulary_size + 2)
    lm = load_token_lm(tmp_path / "lm")
    assert lm.text == text
    (scores,) = lm.score_spoken([run.clips.clip(1).astype(np.int64)], [text.encoded("cab").ids])
    held_out = run.held_out.first(1)
    assert scores.audio_nll.sum() / np.log(2) == pytest.approx(
        validate(run.state.network, held_out).bits * len(held_out.tokens), rel=1e-4
    )
    with pytest.raises(ValueError, match="tokens without their text"):
        lm.score([run.clips.clip(0).astype(np.int64)])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    size = source.vocabulary_size
    ids = tokenizer("cab a<s><CODEC_7></s>")["input_ids"]
    assert ids == [*text.encoded("cab a").ids, size, 7, size + 1]
    with pytest.raises(Exception, match="UNK"):
        tokenizer("xyz")
