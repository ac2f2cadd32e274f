"""Language models over tokens by name and folder, and those of another codec."""

from __future__ import annotations

import pytest
import torch
from token_lms import make_clips, make_lm, make_source

from soundcodec_llmcodec.lm import loading
from soundcodec_llmcodec.lm.counted import NgramLM, UniformLM
from soundcodec_llmcodec.lm.lm_folder import TokenLMError
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.scores import CodecMismatchError
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM


@pytest.fixture
def folders(tmp_path):
    """A neural model's folder and an n-gram's."""
    make_lm().save(tmp_path / "neural")
    NgramLM.count(make_clips(30), make_source(), 2).save(tmp_path / "counted")
    return tmp_path


def test_a_folder_says_what_it_is(folders):
    assert isinstance(load_token_lm(folders / "neural"), NeuralTokenLM)
    assert isinstance(load_token_lm(str(folders / "counted"), make_source()), NgramLM)
    assert load_token_lm(folders / "neural", dtype="bfloat16").model.dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["neural", "counted"])
def test_a_model_of_another_codec_is_refused(folders, kind):
    with pytest.raises(CodecMismatchError, match=r"codec aaaaaaaaaaaa, but these are of bbbbbbbbbbbb \(toy\)"):
        load_token_lm(folders / kind, make_source(digit="b"))


def test_uniform_is_of_any_codec_but_needs_one():
    assert load_token_lm("uniform", make_source(levels=3)) == UniformLM(150)
    with pytest.raises(TokenLMError, match="whose tokens"):
        load_token_lm("uniform")


def test_bundled_is_the_packages_own_folder(folders, monkeypatch):
    monkeypatch.setattr(loading, "BUNDLED", folders / "neural")
    assert load_token_lm("bundled").name == "tiny"
    monkeypatch.setattr(loading, "BUNDLED", folders / "nowhere")
    with pytest.raises(TokenLMError, match="no bundled language model"):
        load_token_lm("bundled")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bigram", "llmcodec lm count TOKENS --order 2"),
        ("nowhere", "nothing is at 'nowhere'"),
        (".", "no token_lm.json"),
    ],
)
def test_what_is_no_model_says_what_to_do(spec, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TokenLMError, match=message):
        load_token_lm(spec, make_source())


def test_other_types_and_devices_are_refused(folders):
    with pytest.raises(TokenLMError, match="float32, bfloat16"):
        load_token_lm(folders / "neural", dtype="int8")
    with pytest.raises(ValueError, match="cannot use the device"):
        load_token_lm(folders / "neural", device="nowhere")
