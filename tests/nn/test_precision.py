"""bfloat16 products: near the float32 codec, the same for a clip alone and in a batch, and no change to the model."""

from __future__ import annotations

import pytest
import torch

from soundcodec_llmcodec import load_codec
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.precision import optimized


def with_option(codec, optimize):
    return LLMCodec(codec.config, codec.model, optimize=optimize)


def test_only_what_was_asked_for_is_changed(tiny_codec, noise):
    before = {name: tensor.clone() for name, tensor in tiny_codec.model.state_dict().items()}
    samples = noise(8_000)
    exact, decoder, both = (with_option(tiny_codec, name) for name in (None, "bf16-decoder", "bf16"))
    codes = exact.encode_samples(samples)
    assert torch.equal(decoder.encode_samples(samples), codes)
    assert torch.equal(both.decode_codes(codes), decoder.decode_codes(codes))
    heard, nearly = exact.decode_codes(codes), decoder.decode_codes(codes)
    assert not torch.equal(heard, nearly)
    assert (heard - nearly).square().sum() < 1e-3 * heard.square().sum()
    changed = (both.encode_samples(samples) != codes).float().mean()
    assert changed < 0.2
    assert exact.weights_hash == both.weights_hash
    after = tiny_codec.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == before[name].dtype for name in before)


def test_parts_that_stay_are_shared_and_those_that_change_are_not(tiny_codec):
    model = tiny_codec.model
    made = optimized(model, "bf16-decoder")
    assert made.tokenizer is model.tokenizer
    assert made.token2wav.istft_head is model.token2wav.istft_head
    types = {name: tensor.dtype for name, tensor in made.token2wav.conformer.state_dict().items()}
    assert (
        types["layers.0.ffn1.up_proj.weight"] == types["layers.0.conv_module.depthwise_conv.weight"] == torch.bfloat16
    )
    assert (
        types["layers.0.ffn1_layer_norm.weight"] == types["layers.0.conv_module.conv_norm.running_var"] == torch.float32
    )
    assert optimized(model, None) is model


@pytest.mark.parametrize("optimize", [None, "bf16"])
def test_a_batch_gives_what_clips_give_alone(tiny_codec, noise, optimize):
    codec = with_option(tiny_codec, optimize)
    clips = [noise(n) for n in (9_000, 320, 4_321, 16_000)]
    alone = [codec.encode_samples(clip) for clip in clips]
    together = codec.encode_samples_batch(clips)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    for codes, audio in zip(alone, codec.decode_codes_batch(alone), strict=True):
        torch.testing.assert_close(audio, codec.decode_codes(codes), atol=1e-5, rtol=0)


def test_streams_run_so_too(tiny_codec, noise):
    codec = with_option(tiny_codec, "bf16")
    codes = codec.encode_samples(noise(16_000))
    decoder = codec.stream_decoder(chunk_frames=5)
    streamed = torch.cat([torch.from_numpy(part) for part in (decoder.push(codes), decoder.flush())])
    whole = codec.decode_codes(codes)
    assert (streamed - whole).square().sum() < 1e-3 * whole.square().sum()
    assert not torch.equal(whole, tiny_codec.decode_codes(codes))


def test_weights_that_change_are_seen(tiny_codec, noise):
    codec = LLMCodec.random(tiny_codec.config, seed=5)
    fast = with_option(codec, "bf16")
    codes = fast.encode_samples(noise(4_000))
    first = fast.decode_codes(codes)
    with torch.no_grad():
        for parameter in codec.model.token2wav.conformer.parameters():
            parameter.mul_(1.5)
    assert not torch.allclose(fast.decode_codes(codes), first)


def test_what_is_no_option_is_refused():
    with pytest.raises(ValueError, match="unknown optimization 'int8'; expected one of None, 'bf16-decoder', 'bf16'"):
        load_codec("llmcodec", optimize="int8")
    assert load_codec("llmcodec", optimize="bf16").codec.optimize == "bf16"
