"""A compiled codec is the same codec: its hash, its checkpoint, its tokens and its streams."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.compiled import plain_name


def compiled(codec: LLMCodec, what: str) -> LLMCodec:
    made = copy.deepcopy(codec)
    if what == "model":
        made.model = torch.compile(made.model, backend="eager")
    elif what == "in place":
        made.model.compile(backend="eager")
    else:
        for conformer in (made.model.tokenizer.conformer, made.model.token2wav.conformer):
            for place, layer in enumerate(conformer.layers):
                conformer.layers[place] = torch.compile(layer, backend="eager")
        for place, level in enumerate(made.model.tokenizer.vq.quantizers):
            made.model.tokenizer.vq.quantizers[place] = torch.compile(level, backend="eager")
    return made


@pytest.mark.parametrize("what", ["model", "in place", "parts"])
def test_a_compiled_codec_is_the_same_codec(tiny_codec, noise, tmp_path, what):
    codec, clip = compiled(tiny_codec, what), noise(9_000)
    assert codec.weights_hash == tiny_codec.weights_hash
    tokens = tiny_codec.encode(clip, 16_000)
    assert codec.encode(clip, 16_000) == tokens
    expected = tiny_codec.decode(tokens)
    np.testing.assert_allclose(codec.decode(tokens), expected, atol=1e-5)
    decoder, encoder = codec.stream_decoder(), codec.stream_encoder(16_000)
    streamed = np.concatenate([decoder.push(tokens.unit), decoder.flush()])
    np.testing.assert_allclose(streamed[: len(expected)], expected, atol=1e-5)
    assert torch.equal(torch.cat([encoder.push(clip), encoder.flush()]), tokens.unit)
    codec.save_pretrained(tmp_path)
    assert LLMCodec.from_pretrained(tmp_path).weights_hash == tiny_codec.weights_hash


def test_names_without_the_wrapping():
    assert plain_name("_orig_mod.tokenizer.layers.0._orig_mod.weight") == "tokenizer.layers.0.weight"
    assert plain_name("tokenizer.stft_head") == "tokenizer.stft_head"
    assert plain_name("_orig_mod") == ""
