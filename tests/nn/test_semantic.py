"""The speech encoder beside the acoustic features: blocks are bounded and exact, and the weights are Whisper's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError, SemanticConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.nn.semantic_encoder import SemanticEncoder
from soundcodec_llmcodec.nn.whisper_encoder import position_table

FRAMES = (1, 5, 12, 13, 40)  # blocks have 12


def encoder_of(codec: LLMCodec) -> SemanticEncoder:
    branch = codec.model.tokenizer.semantic
    assert branch is not None
    return branch.encoder


def padded(codec: LLMCodec, clip: torch.Tensor) -> torch.Tensor:
    return framed_samples(clip, codec.config)[None]


@pytest.mark.parametrize("frames", FRAMES)
@torch.no_grad()
def test_blocks_one_by_one_are_all_blocks_together(semantic_codec, noise, frames):
    encoder, samples = encoder_of(semantic_codec), padded(semantic_codec, noise(320 * frames))
    assert encoder(samples).shape == (1, frames, 2 * 16)
    torch.testing.assert_close(encoder(samples, exact=True), encoder(samples), atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_is_as_if_it_were_not_there(semantic_codec, noise):
    encoder = encoder_of(semantic_codec)
    own, samples = 15, padded(semantic_codec, noise(320 * 40))
    mask = (torch.arange(40) < own)[None]
    alone = encoder(samples[:, : (own - 1) * 320 + 1280])
    for exact in (False, True):
        torch.testing.assert_close(encoder(samples, mask, exact)[:, :own], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_states_depend_on_their_block_and_its_context_alone(semantic_codec, noise):
    """Blocks of 12 with 4 more on either side: what lies beyond does not count, what lies within does."""
    encoder, clip = encoder_of(semantic_codec), noise(320 * 60)
    before = encoder(padded(semantic_codec, clip))[0]

    def touched(frame: int) -> list[int]:
        changed = clip.clone()
        changed[320 * frame + 160] += 0.5
        return (encoder(padded(semantic_codec, changed))[0] != before).any(dim=1).nonzero().flatten().tolist()

    # Frame 30 lies in the block [24, 36), in its inside: no other block sees it.
    assert touched(30) == list(range(24, 36))
    # Frame 37 lies in the context of the block before, too.
    assert touched(37) == list(range(24, 48))


@torch.no_grad()
def test_chunks_give_what_the_whole_clip_gives(semantic_codec, noise):
    clip = noise(320 * 400 + 77)
    whole = coding.encode(semantic_codec.model, clip, None, 10**9)
    for chunk in (48, 100, 250):
        assert torch.equal(coding.encode(semantic_codec.model, clip, None, chunk), whole)


def test_an_item_of_a_batch_has_the_tokens_it_has_alone(semantic_codec, noise):
    clips = [noise(320 * n + n, n) for n in (30, 3, 14, 14)]
    batch = semantic_codec.encode_samples_batch(clips)
    assert all(
        torch.equal(codes, semantic_codec.encode_samples(clip)) for codes, clip in zip(batch, clips, strict=True)
    )


def test_tokens_do_not_depend_on_polarity(semantic_codec, noise):
    clip = noise(320 * 50)
    assert torch.equal(semantic_codec.encode_samples(-clip), semantic_codec.encode_samples(clip))


def test_a_checkpoint_holds_the_speech_encoder_and_gives_the_same_tokens(semantic_codec, noise, tmp_path):
    semantic_codec.save_pretrained(tmp_path / "codec")
    again = LLMCodec.from_pretrained(tmp_path / "codec")
    assert again.config == semantic_codec.config
    assert torch.equal(again.encode_samples(noise(9_000)), semantic_codec.encode_samples(noise(9_000)))


def test_positions_are_whispers():
    pytest.importorskip("transformers")
    from transformers.models.whisper.modeling_whisper import sinusoids

    torch.testing.assert_close(position_table(1500, 384), sinusoids(1500, 384), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layers": []}, "rising"),
        ({"layers": [3, 1]}, "rising"),
        ({"layers": "234"}, "list of numbers"),
        ({"width": 30, "heads": 4}, "multiple of heads"),
        ({"context_frames": -1}, "context_frames"),
        ({"blocks": 3}, "unknown keys"),
    ],
)
def test_impossible_branches_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        CodecConfig(semantic=changed)


def test_a_branch_needs_the_rate_it_hears():
    with pytest.raises(ConfigError, match="16 kHz"):
        CodecConfig(hop_length=160, semantic=SemanticConfig())


def test_a_config_without_parts_reads_as_before():
    """The description is in every checkpoint's hash: what a codec does not have must not be in it."""
    assert not {"magnitudes", "semantic"} & set(CodecConfig.preset("published").to_dict())
    compact = CodecConfig.preset("compact")
    assert CodecConfig.from_dict(compact.to_dict()) == compact
    assert np.array(compact.to_dict()["semantic"]["layers"]).tolist() == [2, 3, 4]
