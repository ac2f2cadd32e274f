"""Batches, lengths and chunks on real model objects."""

from __future__ import annotations

import math

import pytest
import torch

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.coding import CodecInputError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import framed_samples

LENGTHS = (1, 319, 320, 321, 481, 640, 16_000, 15_999, 40_037)
CODECS = ("tiny_codec", "unbounded_codec")


@pytest.fixture(params=CODECS)
def codec(request) -> LLMCodec:
    return request.getfixturevalue(request.param)


def test_single_equals_batch_equals_shuffled_equals_beside_a_longer_neighbour(codec, noise):
    clips = [noise(n, seed=n) for n in LENGTHS]
    single = [codec.encode_samples(clip) for clip in clips]
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(1)).tolist()
    for together in (
        codec.encode_samples_batch(clips),
        [codec.encode_samples_batch([clips[i] for i in order])[order.index(j)] for j in range(len(clips))],
        [codec.encode_samples_batch([clip, noise(64_000, 5)])[0] for clip in clips],
    ):
        for alone, batched in zip(single, together, strict=True):
            assert torch.equal(alone, batched)
    audio = [codec.decode_codes(codes) for codes in single]
    for alone, batched in zip(audio, codec.decode_codes_batch(single), strict=True):
        torch.testing.assert_close(alone, batched, atol=1e-5, rtol=0)
    beside = codec.decode_codes_batch([single[3], codec.encode_samples(noise(64_000, 5))])[0]
    torch.testing.assert_close(audio[3], beside, atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", LENGTHS)
def test_frames_and_samples(codec, noise, length):
    codes = codec.encode_samples(noise(length))
    assert codes.shape == (1, math.ceil(length / 320))
    assert codes.dtype == torch.int64
    assert codec.decode_codes(codes, length).shape == (length,)
    assert codec.decode_codes(codes).shape == (codes.shape[1] * 320,)


def test_a_frame_is_20_ms_wherever_it_lies(tiny_codec, noise):
    """Frame k depends on the samples around k * 320 only: moving a clip by whole frames moves its codes."""
    clip = noise(64_000)
    later = torch.cat((noise(3_200, 9), clip))
    context = tiny_codec.config.context_frames(1)
    codes, moved = tiny_codec.encode_samples(clip), tiny_codec.encode_samples(later)
    assert torch.equal(codes[:, context:], moved[:, 10 + context :])


def test_chunks_equal_the_whole_clip_when_the_window_is_bounded(tiny_codec, noise):
    clip = noise(16_000 * 61 + 123)
    whole = coding.encode(tiny_codec.model, clip, None, 10**9)
    for chunk in (64, 500, 1_000):
        assert torch.equal(coding.encode(tiny_codec.model, clip, None, chunk), whole)
    audio = coding.decode(tiny_codec.model, whole, 10**9)
    for chunk in (64, 500):
        torch.testing.assert_close(coding.decode(tiny_codec.model, whole, chunk), audio, atol=1e-5, rtol=0)


def test_context_is_what_chunks_need_and_no_less(tiny_codec, noise):
    """A change `context_frames` away from a frame can reach it at most; one sample nearer it does."""
    config = tiny_codec.config
    context = config.context_frames(config.encoder_layers)
    clip = noise(320 * 200)
    changed = clip.clone()
    changed[320 * 100] += 0.5
    features = [tiny_codec.model.tokenizer.features(framed_samples(x, config)[None])[0] for x in (clip, changed)]
    touched = (features[0] != features[1]).any(dim=1).nonzero().flatten()
    assert touched.min() >= 100 - context
    assert touched.max() <= 100 + context
    # The window and half the kernel (4 + 3), and two frames of STFT: nothing is reserved that cannot be reached.
    assert touched.max() >= 100 + 4 + 3


def test_overlapping_chunks_of_whole_clip_attention_stay_close(unbounded_codec, noise):
    clip = noise(16_000 * 40)
    whole = coding.encode(unbounded_codec.model, clip, None, 10**9)
    chunked = coding.encode(unbounded_codec.model, clip, None, 1_000)
    assert chunked.shape == whole.shape
    # 1.3% differ; shuffled codes would differ in 99%.
    assert (chunked != whole).float().mean() < 0.05


def test_near_ties_in_a_batch_are_settled_alone(tiny_codec, noise, monkeypatch):
    """With a margin above every lead, each item of a batch is looked at again alone, and the codes stay."""
    clips = [noise(8_000), noise(6_400, 1)]
    expected = [tiny_codec.encode_samples(clip) for clip in clips]
    alone = []
    encode = coding.encode

    def counting(model, samples, domain, chunk_frames, progress=False):
        alone.append(samples.shape[0])
        return encode(model, samples, domain, chunk_frames, progress)

    monkeypatch.setattr(coding, "encode", counting)
    assert all(map(torch.equal, tiny_codec.encode_samples_batch(clips), expected))
    settled_together = len(alone)
    monkeypatch.setattr(coding, "TIE_MARGIN", 3.0)
    assert all(map(torch.equal, tiny_codec.encode_samples_batch(clips), expected))
    assert settled_together == 0
    assert sorted(alone) == [6_400, 8_000]


def test_long_and_short_clips_mix_in_a_batch(noise):
    codec = LLMCodec.random(CodecConfig.preset("tiny"))
    codec.chunk_frames = 100
    clips = [noise(n, n) for n in (320 * 250 + 7, 500, 320 * 99, 320 * 130)]
    batch = codec.encode_samples_batch(clips)
    for clip, codes in zip(clips, batch, strict=True):
        assert torch.equal(codes, codec.encode_samples(clip))


def test_encoding_leaves_modes_alone(tiny_codec, noise):
    tiny_codec.encode_samples(noise(640))
    assert not tiny_codec.model.training
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(0), "empty"),
        (torch.zeros(2, 100), r"\(2, 100\)"),
        (torch.zeros(100, dtype=torch.int64), "int64"),
        (torch.tensor([0.0, float("nan")]), "1 of 2"),
        (torch.tensor([float("inf")] * 3), "3 of 3"),
    ],
)
def test_impossible_samples_are_refused_alone_and_in_a_batch(tiny_codec, samples, message):
    with pytest.raises(CodecInputError, match=message):
        tiny_codec.encode_samples(samples)
    with pytest.raises(CodecInputError, match=message):
        tiny_codec.encode_samples_batch([torch.zeros(640), samples])


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(1, 0, dtype=torch.int64), "no codes"),
        (torch.tensor([[0, 512, 3, -1]]), r"\[512, -1\]"),
        (torch.zeros(2, 5, dtype=torch.int64), r"\(2, 5\)"),
        (torch.zeros(1, 5), "float32"),
    ],
)
def test_impossible_codes_are_refused(tiny_codec, codes, message):
    with pytest.raises(CodecInputError, match=message):
        tiny_codec.decode_codes(codes)


def test_more_samples_than_the_codes_hold_are_refused(tiny_codec):
    with pytest.raises(CodecInputError, match="1 to 640 samples, not 641"):
        tiny_codec.decode_codes(torch.zeros(1, 2, dtype=torch.int64), 641)
