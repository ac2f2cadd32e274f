"""X-Codec's branch at the codebook: convolutions and projections between speech encoder and codebook."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from soundcodec_llmcodec import LLMCodec, coding
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.nn.semantic_join import ConvolutionBlocks, mean_of_layers


@torch.no_grad()
def test_convolutions_are_those_of_pytorch_and_stop_at_the_mask():
    blocks, x = ConvolutionBlocks(6, 8, 1, 5), torch.randn(2, 9, 6)
    by_pytorch = nn.functional.conv1d(x.mT, blocks.inp.weight, blocks.inp.bias, padding=2).mT
    hidden = nn.functional.conv1d(
        nn.functional.gelu(by_pytorch).mT, blocks.over_frames[0].weight, blocks.over_frames[0].bias, padding=2
    ).mT
    expected = by_pytorch + blocks.in_frame[0](nn.functional.gelu(hidden))
    torch.testing.assert_close(blocks(x), expected)
    mask = torch.arange(9)[None] < torch.tensor([[9], [4]])
    torch.testing.assert_close(blocks(x, mask)[1, :4], blocks(x[1:, :4])[0])


@torch.no_grad()
def test_acoustic_and_semantic_features_stand_side_by_side(joined_codec):
    join, config = joined_codec.model.tokenizer.join, joined_codec.config
    acoustic, states = torch.randn(1, 7, config.hidden_size), torch.randn(1, 7, 2 * 16)
    both = join(acoustic, states)
    half = config.hidden_size // 2
    assert both.shape == acoustic.shape
    torch.testing.assert_close(join(acoustic + 1, states)[..., half:], both[..., half:])
    torch.testing.assert_close(join(acoustic, states + torch.randn(32))[..., :half], both[..., :half])
    # Features are the mean over layers: what one layer has more and the other less is not seen.
    torch.testing.assert_close(join(acoustic, states + torch.cat((torch.ones(16), -torch.ones(16)))), both)
    torch.testing.assert_close(mean_of_layers(states, 2), (states[..., :16] + states[..., 16:]) / 2)


@torch.no_grad()
def test_a_batch_chunks_and_the_whole_clip_give_the_same_tokens(joined_codec, noise):
    clips = [noise(320 * n + n, n) for n in (30, 3, 14, 90)]
    alone = [joined_codec.encode_samples(clip) for clip in clips]
    for codes, expected in zip(joined_codec.encode_samples_batch(clips), alone, strict=True):
        assert torch.equal(codes, expected)
    for chunk in (24, 36, 60):
        assert torch.equal(coding.encode(joined_codec.model, clips[3], None, chunk), alone[3])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.integers(1, 30_000), chunk=st.sampled_from([1, 8, 40]), cut=st.integers(1, 9_000))
def test_streams_give_what_the_whole_clip_gives(joined_codec, noise, samples, chunk, cut):
    clip = noise(samples, seed=samples)
    encoder = joined_codec.stream_encoder(16_000, chunk_frames=chunk)
    ids = [encoder.push(clip[start : start + cut]) for start in range(0, samples, cut)]
    codes = torch.cat([*ids, encoder.flush()], dim=1)
    assert torch.equal(codes, joined_codec.encode_samples(clip))
    decoder = joined_codec.stream_decoder(chunk_frames=chunk)
    parts = [torch.from_numpy(decoder.push(codes)), torch.from_numpy(decoder.flush())]
    torch.testing.assert_close(torch.cat(parts), joined_codec.decode_codes(codes), atol=1e-5, rtol=0)


def test_a_stream_waits_for_the_later_of_both_branches(joined_codec):
    # A block of 12 frames and its context of 4, three convolutions that reach 1 each; 2 frames overlap in the STFT.
    assert joined_codec.stream_encoder(16_000).lookahead_frames == (12 - 1) + 4 + 3 + 2
    assert joined_codec.config.encoder_context == 12 + 4 + 3 + 4


@torch.no_grad()
def test_no_frame_past_the_stated_context_changes_a_code(joined_codec, noise):
    clip, context = noise(320 * 120), joined_codec.config.encoder_context
    before = joined_codec.model.tokenizer.features(framed_samples(clip, joined_codec.config)[None])[0]
    for frame in (50, 59, 60, 71):
        changed = clip.clone()
        changed[320 * frame : 320 * (frame + 1)] += 0.3
        after = joined_codec.model.tokenizer.features(framed_samples(changed, joined_codec.config)[None])[0]
        touched = (after != before).any(dim=1).nonzero().flatten()
        assert frame - context <= touched.min() < touched.max() <= frame + context


@torch.no_grad()
def test_decoding_needs_neither_speech_encoder_nor_join(joined_codec, noise):
    codes = joined_codec.encode_samples(noise(9_000))
    expected = joined_codec.decode_codes(codes)
    stripped = LLMCodec.random(joined_codec.config)
    stripped.model.load_state_dict(joined_codec.model.state_dict())
    stripped.model.tokenizer.semantic = stripped.model.tokenizer.join = None
    assert torch.equal(stripped.decode_codes(codes), expected)


def test_a_checkpoint_gives_the_same_tokens(joined_codec, noise, tmp_path):
    joined_codec.save_pretrained(tmp_path / "codec")
    again = LLMCodec.from_pretrained(tmp_path / "codec")
    assert again.config == joined_codec.config
    assert again.weights_hash == joined_codec.weights_hash
    assert torch.equal(again.encode_samples(noise(9_000)), joined_codec.encode_samples(noise(9_000)))


@pytest.mark.parametrize(
    ("join", "message"),
    [
        ({"kernel": 4}, "odd"),
        ({"features": 512}, "join.features must be at most 511"),
        ({"blocks": 0}, "join.blocks"),
        ({"layers": [1]}, r"unknown keys \['layers'\] of semantic.join"),
    ],
)
def test_impossible_joins_are_refused(join, message):
    with pytest.raises(ConfigError, match=message):
        CodecConfig(semantic={"join": join})


def test_a_branch_without_a_join_is_described_as_before_there_were_any():
    assert "join" not in CodecConfig.preset("compact").to_dict()["semantic"]
    joined = CodecConfig(semantic={"join": {"width": 64}})
    assert CodecConfig.from_dict(joined.to_dict()) == joined
