"""Codecs of several levels: tokens of the first of them, and codecs made of these."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundcodec_llmcodec import LLMCodec, codec
from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.audio_writing import write_audio
from soundcodec_llmcodec.config import CodecConfig, ConfigError
from soundcodec_llmcodec.superb.adapter import Codec
from soundcodec_llmcodec.token_ids import TokenError
from soundcodec_llmcodec.tokens import Tokens

TINY = CodecConfig.preset("tiny").to_dict()
CONFIG = CodecConfig.from_dict({**TINY, "num_quantizers": 4, "level_choices": [1, 2, 4]})


@pytest.fixture(scope="module")
def levels_codec() -> LLMCodec:
    return LLMCodec.random(CONFIG)


def test_first_levels_are_decoded_as_the_codec_of_those_levels_decodes_them(levels_codec, noise):
    clip = noise(7_000).numpy()
    tokens = levels_codec.encode(clip, 16_000)
    sums = []
    for levels in (1, 2, 4):
        part, smaller = tokens.first_levels(levels), levels_codec.with_levels(levels)
        own = smaller.encode(clip, 16_000)
        assert torch.equal(own.codes, part.codes)
        assert np.array_equal(smaller.decode(own), levels_codec.decode(part))
        assert part.bitrate_bps == smaller.config.bitrate_bps == levels * 50 * 9
        sums.append(levels_codec.decode(part))
    assert not np.array_equal(sums[0], sums[1])
    assert levels_codec.with_levels(4) is levels_codec


def test_a_batch_may_mix_levels(levels_codec, noise):
    tokens = levels_codec.encode(noise(7_000).numpy(), 16_000)
    mixed = [tokens, tokens.first_levels(1), tokens.first_levels(2)[:9], tokens.first_levels(1)]
    for samples, item in zip(levels_codec.decode_batch(mixed), mixed, strict=True):
        np.testing.assert_allclose(samples, levels_codec.decode(item), atol=1e-6)


def test_a_codec_of_fewer_levels_is_a_codec_like_any_other(levels_codec, noise, tmp_path):
    one = levels_codec.with_levels(1)
    assert one.weights_hash != levels_codec.weights_hash
    assert Codec(codec=one).is_1d()
    one.save_pretrained(tmp_path / "one")
    levels_codec.save_pretrained(tmp_path / "all")
    again = LLMCodec.from_pretrained(tmp_path / "all", levels=1)
    assert again.weights_hash == one.weights_hash == LLMCodec.from_pretrained(tmp_path / "one").weights_hash
    clip = noise(4_000).numpy()
    ids = one.encode(clip, 16_000).unit
    assert ids.shape == (13,)
    assert np.array_equal(again.decode(ids.tolist()), levels_codec.decode(ids[None], n_samples=13 * 320))


def test_levels_that_the_decoder_was_not_made_for_are_named(levels_codec, noise):
    tokens = levels_codec.encode(noise(4_000).numpy(), 16_000)
    with pytest.raises(ValueError, match="1, 2, 4 levels, not 3"):
        levels_codec.with_levels(3)
    with pytest.raises(TokenError, match=r"3 levels of 512 codes.*1 or 2 or 4 of 512"):
        levels_codec.decode(tokens.first_levels(3))
    with pytest.raises(TokenError, match=r"\(2, F\) or \(1, 2, F\)"):
        levels_codec.decode(torch.zeros(3, 5, dtype=torch.int64))
    with pytest.raises(TokenError, match=r"with_levels\(N\)"):
        levels_codec.stream_decoder().push(tokens.first_levels(1).codes[0])
    with pytest.raises(TokenError, match="4 levels"):
        tokens.first_levels(5)
    with pytest.raises(ValueError, match="1 levels, not 2"):
        LLMCodec.random(CodecConfig.preset("tiny")).with_levels(2)


@pytest.mark.parametrize("choices", [[1, 2], [2, 1, 4], [0, 4], [1, 4, 5], [1, 1, 4]])
def test_impossible_choices_are_refused(choices):
    with pytest.raises(ConfigError, match="level_choices"):
        CodecConfig.from_dict({**TINY, "num_quantizers": 4, "level_choices": choices})


def test_a_config_without_choices_reads_as_before():
    assert "level_choices" not in TINY
    assert CodecConfig.from_dict(CONFIG.to_dict()) == CONFIG


def test_encode_writes_first_levels(levels_codec, noise, tmp_path, capsys):
    levels_codec.save_pretrained(tmp_path / "codec")
    write_audio(tmp_path / "a.wav", noise(4_000).numpy(), 16_000)
    files = [str(tmp_path / "a.wav"), "-o", str(tmp_path / "a.llmc"), "--checkpoint", str(tmp_path / "codec")]
    assert main(["encode", *files, "--levels", "2"]) == 0
    assert Tokens.load(tmp_path / "a.llmc").num_quantizers == 2
    decoded = [str(tmp_path / "a.llmc"), "-o", str(tmp_path / "b.wav"), "--checkpoint", str(tmp_path / "codec")]
    assert main(["decode", *decoded]) == 0
    assert main(["encode", *files, "--levels", "3"]) != 0
    assert "1, 2, 4" in capsys.readouterr().err


def test_the_registry_takes_fewer_levels(levels_codec, noise, tmp_path):
    levels_codec.with_levels(1).save_pretrained(tmp_path / "one")
    unit = codec.load_codec("llmcodec", checkpoint=tmp_path / "one").extract_unit(
        {"audio": {"array": noise(4_000).numpy(), "sampling_rate": 16_000}}
    )
    assert unit.unit.shape == (13,)
