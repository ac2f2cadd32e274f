"""Codecs of transformers as representations and as tokenizers, on tiny untrained models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eval.harness.hf_tokens import HuggingFaceTokens
from eval.harness.model_specs import LoadError, UnknownSpecError
from eval.predictability import included_tokens
from eval.representations.representation_specs import parse, representation_of
from tests.eval.reconstruction.codecs.test_codec_hf import dac, encodec, fsq, mimi, xcodec

transformers = pytest.importorskip("transformers", reason="needs the extra eval-all")

RATE = 16_000
# model, the query that codes four levels, frames of 16,123 samples at 16 kHz
CASES = {
    "xcodec": (xcodec, "", 51),
    "encodec": (encodec, "?bandwidth=1.2", 76),
    "dac": (dac, "", 48),
    "mimi": (mimi, "", 13),
}


def saved(model, folder, seed=0):
    """A model with codes that are drawn: X-Codec's and EnCodec's codebooks begin as zeros."""
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if name.endswith(("embed", "embed_sum")):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
    model.eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip():
    return (0.1 * np.random.default_rng(0).standard_normal(16_123)).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_levels_are_summed_and_one_level_is_the_first(name, tmp_path, clip):
    make, query, frames = CASES[name]
    torch.manual_seed(0)
    folder = saved(make(), tmp_path / name)
    whole = representation_of(f"hf:{folder}{query}")
    first, two = (representation_of(f"hf:{folder}{query}@{levels}") for levels in (1, 2))
    vectors = whole.frames(clip)
    assert vectors.shape == (frames, whole.dimensions)
    assert vectors.dtype == np.float32
    assert first.frames(clip).shape == vectors.shape
    assert np.abs(first.frames(clip) - two.frames(clip)).max() > 1e-4
    assert (first.facts()["levels"], first.facts()["of_levels"]) == (1, 4)
    codes = first.codec.encode(np.zeros(RATE, np.float32))
    per_level = [first.codec.vectors(codes[:1]), first.codec.vectors(codes[:2])]
    np.testing.assert_allclose(per_level[0], first.frames(np.zeros(RATE, np.float32))[: codes.shape[1]], atol=1e-5)
    np.testing.assert_allclose(per_level[1], two.frames(np.zeros(RATE, np.float32))[: codes.shape[1]], atol=1e-5)
    with pytest.raises(UnknownSpecError, match=r"asks for 5 levels.*codes 4 here"):
        representation_of(f"hf:{folder}{query}@5")


def test_vectors_are_what_xcodecs_decoder_gets(tmp_path, clip):
    model = xcodec()
    folder = saved(model, tmp_path / "model")
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(np.pad(clip, (0, 51 * 320 - len(clip))))[None, None]).audio_codes
        expected = model.quantizer.decode(codes.transpose(0, 1))[0].t()
    np.testing.assert_allclose(representation_of(f"hf:{folder}").frames(clip), expected.numpy(), atol=1e-5)


def test_specs_say_what_is_wrong(tmp_path):
    spec = parse("X=hf:hf-audio/xcodec-hubert-librispeech?bandwidth=2@3")
    assert (spec.label, spec.kind, spec.target) == ("X", "hf", "hf-audio/xcodec-hubert-librispeech?bandwidth=2")
    assert spec.numbers == (3,)
    for wrong in ("hf:a/b@x", "hf:@2", "hf:a/b?bandwidth"):
        with pytest.raises(UnknownSpecError, match="expected"):
            parse(wrong)
    with pytest.raises(LoadError, match="could not be had"):
        representation_of(f"hf:{tmp_path / 'none'}")


def test_a_codec_without_vectors_by_level_says_so(tmp_path):
    folder = saved(fsq("Xcodec2"), tmp_path / "fsq")
    with pytest.raises(LoadError, match=r"\(xcodec2\) gives no code vectors"):
        representation_of(f"hf:{folder}")


def test_its_tokens_are_predicted_as_those_of_a_codec_of_ones_own(tmp_path):
    """One level by its bandwidth: 50 tokens a second, each the code that the model gives."""
    folder = saved(xcodec(), tmp_path / "model")
    spec = included_tokens.parse(f"One level=hf:{folder}?bandwidth=0.2")
    assert spec.label == "One level"
    assert included_tokens.parse(f"hf:{folder}?bandwidth=0.2@mini").dataset == "mini"
    tokens = included_tokens.read(spec, limit=1)
    source = tokens.source
    assert (source.num_quantizers, source.codebook_size, source.sample_rate, source.hop_length) == (1, 16, RATE, 320)
    assert tokens.tokens_per_s == pytest.approx(50, rel=0.02)
    whole = HuggingFaceTokens(str(folder), {})
    assert whole.num_quantizers == 4
    assert whole.identity != HuggingFaceTokens(str(folder), {"bandwidth": "0.2"}).identity
