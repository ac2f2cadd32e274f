"""The registry without Codec-SUPERB."""

from __future__ import annotations

import numpy as np
import pytest

from soundcodec_llmcodec import checkpoints, codec
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.weights_files import CheckpointError


@pytest.fixture
def folder(tmp_path):
    LLMCodec.random(CodecConfig.preset("tiny")).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_names():
    assert codec.list_codec() == sorted(checkpoints.NAMES)
    for name in ("llmcodec", "llmcodec_published", "llmcodec_abl_ftp", "llmcodec_abl_sa", "llmcodec_abl_k10"):
        assert name in codec.list_codec()
        assert codec.codec_supports_decode(name) is True


def test_unknown_names_suggest_a_known_one():
    for call in (codec.load_codec, codec.codec_supports_decode):
        with pytest.raises(codec.UnknownCodecError, match=r"did you mean 'llmcodec'\?.*llmcodec_published"):
            call("llm_codec")
        with pytest.raises(codec.UnknownCodecError, match="encodec_24k"):
            call("encodec_24k")


def test_another_checkpoint_by_argument_and_by_environment(folder, monkeypatch):
    expected = LLMCodec.from_pretrained(folder).weights_hash
    given = codec.load_codec("llmcodec", checkpoint=folder)
    assert given.codec.weights_hash == expected
    assert given.setting == "llmcodec"
    monkeypatch.setenv(checkpoints.CHECKPOINT_VARIABLE, str(folder))
    assert codec.load_codec().codec.weights_hash == expected
    data = {"audio": {"array": np.zeros(4_410, dtype=np.float32), "sampling_rate": 44_100}}
    assert given.synth(data, local_save=False)["audio"]["array"].shape == (4_410,)


def test_a_missing_checkpoint_is_an_error_that_names_it(tmp_path):
    with pytest.raises(CheckpointError, match="nothing-here"):
        codec.load_codec("llmcodec", checkpoint=tmp_path / "nothing-here")


def test_the_bundled_codec_loads_offline():
    if not (checkpoints.BUNDLED / checkpoints.WEIGHTS_FILE).is_file():
        pytest.skip("the bundled checkpoint is not in this tree")
    first, second = codec.load_codec("llmcodec"), codec.load_codec("llmcodec")
    assert first.codec.weights_hash == second.codec.weights_hash
    assert first.codec.config.codebook_size == 20_480
    assert first.codec.config.frame_rate == 50.0
