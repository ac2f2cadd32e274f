"""A language model's folder: a save takes the place of an earlier save, whole, and of nothing else."""

from __future__ import annotations

import json

import pytest
from tiny_lms import make_model
from token_lms import make_clips, make_lm, make_source

from soundcodec_llmcodec.cli.command_tree import run_command
from soundcodec_llmcodec.lm.counted import NgramLM
from soundcodec_llmcodec.lm.lm_folder import NEURAL, NGRAM, TokenLMError, check_target
from soundcodec_llmcodec.lm.loading import load_token_lm


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def theirs(tmp_path):
    """A language model that transformers saved."""
    make_model("qwen3_tied", 64).save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


def test_somebody_elses_model_is_not_overwritten(theirs):
    before = contents(theirs)
    counted = NgramLM.count(make_clips(30), make_source(), 2)
    for lm in (make_lm(), counted):
        with pytest.raises(TokenLMError, match=r"no token_lm\.json, so its config\.json, .*would be lost"):
            lm.save(theirs)
    assert contents(theirs) == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model-00001-of-00002.safetensors", "vocab.json"])
def test_one_file_of_theirs_is_enough(tmp_path, name):
    (tmp_path / name).write_text("theirs")
    for kind in (NEURAL, NGRAM):
        with pytest.raises(TokenLMError, match=name):
            check_target(tmp_path, kind)


def test_other_files_do_not_matter_and_stay(tmp_path):
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "checkpoints").mkdir()
    make_lm().save(tmp_path)
    assert load_token_lm(tmp_path).name == "tiny"
    assert (tmp_path / "README.md").read_text() == "a card"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_of_an_earlier_save_nothing_is_left(tmp_path):
    make_lm().save(tmp_path)
    for name in ("model-00001-of-00002.safetensors", "added_tokens.json", "training.json"):
        (tmp_path / name).write_text("of the earlier one")
    lm = make_lm("qwen3_untied")
    lm.save(tmp_path)
    assert not [name for name, held in contents(tmp_path).items() if held == b"of the earlier one"]
    assert load_token_lm(tmp_path).identity == lm.identity


def test_training_refuses_the_folder_before_it_begins(theirs, tmp_path):
    argv = ["--tokens", str(tmp_path / "none"), "--out", str(tmp_path / "run"), "--export", str(theirs)]
    before = contents(theirs)
    with pytest.raises(TokenLMError, match="take another folder, or remove them"):
        run_command(["lm", "train", *argv])
    with pytest.raises(TokenLMError, match="take another folder, or remove them"):
        run_command(["lm", "count", str(tmp_path / "none"), "-o", str(theirs)])
    assert not (tmp_path / "run").exists()
    assert contents(theirs) == before


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "lm").write_text("")
    with pytest.raises(TokenLMError, match="is a file; name a folder"):
        check_target(tmp_path / "lm", NEURAL)


def test_the_command_gives_an_old_folder_its_tokenizer(tmp_path, capsys):
    make_lm().save(tmp_path)
    with pytest.raises(TokenLMError, match=r"has a tokenizer: tokenizer\.json"):
        run_command(["lm", "tokenizer", str(tmp_path)])
    files = {name: (tmp_path / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")}
    for name in files:
        (tmp_path / name).unlink()
    # Rows that are neither codes nor begin or end: a text model, whose tokenizer we do not know.
    with pytest.raises(TokenLMError, match="its tokenizer is that of the text model it was made of"):
        run_command(["lm", "tokenizer", str(tmp_path)])
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 52}))
    assert run_command(["lm", "tokenizer", str(tmp_path)]) == 0
    assert "<CODEC_0> to <CODEC_49> are the ids from 5 on" in capsys.readouterr().out
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
