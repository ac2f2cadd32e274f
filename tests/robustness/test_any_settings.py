"""What a caller set (default types, devices, autocast, gradients, threads) changes no token and no sample."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.llmcodec import LLMCodec

CODECS = ("tiny_codec", "semantic_codec", "harmonic_codec", "unbounded_codec")


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def deterministic_algorithms() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


# "meta" stands for any device that is not the codec's: a tensor that lands there by mistake holds nothing.
SETTINGS = {
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "float16": lambda: default_dtype(torch.float16),
    "float64": lambda: default_dtype(torch.float64),
    "meta": lambda: default_device("meta"),
    "meta block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "gradients": torch.enable_grad,
    "inference": torch.inference_mode,
    "threads": lambda: threads(3),
    "deterministic": deterministic_algorithms,
}


def everything(codec: LLMCodec) -> list[np.ndarray]:
    """What every path gives: single, batch, long, streams, several rates, kept channels, bare ids."""
    draw = np.random.default_rng(0)
    clips = [0.2 * draw.standard_normal(n).astype(np.float32) for n in (9_000, 4_001, 30_000)]
    given = LLMCodec(codec.config, codec.model, chunk_frames=20)
    tokens = [codec.encode(clips[0], 16_000), given.encode(clips[2], 44_100), *codec.encode_batch(clips, 24_000)]
    tokens.append(codec.encode(np.stack(clips[:1] * 2), 16_000, keep_channels=True))
    results = [item.codes.numpy() for item in tokens]
    results += [given.decode(item) for item in tokens]
    results += codec.decode_batch(tokens)
    results.append(codec.decode(list(range(100)), sampling_rate=22_050))
    decoder = codec.stream_decoder(chunk_frames=7, sampling_rate=24_000, lookahead_frames=3)
    results.append(np.concatenate([decoder.push(list(range(60))), decoder.push([5]), decoder.flush()]))
    if codec.config.attention_window is not None:
        exact = codec.stream_decoder()
        results.append(np.concatenate([exact.push(list(range(60))), exact.flush()]))
        encoder = codec.stream_encoder(44_100, chunk_frames=7)
        parts = [encoder.push(clips[2][:20_000]), encoder.push(clips[2][20_000:]), encoder.flush()]
        results.append(torch.cat(parts).numpy())
    return results


@pytest.fixture(scope="module")
def expected(request) -> dict[str, list[np.ndarray]]:
    return {name: everything(request.getfixturevalue(name)) for name in CODECS}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", CODECS)
def test_no_setting_changes_tokens_or_audio(name, setting, expected, request):
    codec = request.getfixturevalue(name)
    with SETTINGS[setting]():
        found = everything(codec)
    for given, right in zip(found, expected[name], strict=True):
        assert given.dtype == right.dtype
        if right.dtype == np.int64:
            np.testing.assert_array_equal(given, right)
        else:
            np.testing.assert_allclose(given, right, atol=1e-6)


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_changes_the_codec_that_is_loaded(setting, semantic_codec, noise, tmp_path):
    """Windows and filters are in no checkpoint: they are made anew, and must be float32 on the codec's own device."""
    semantic_codec.save_pretrained(tmp_path)
    clip = noise(9_000)
    with SETTINGS[setting]():
        codec = LLMCodec.from_pretrained(tmp_path)
        seeded = LLMCodec.random(semantic_codec.config)
    for made in (codec, seeded):
        assert made.weights_hash == semantic_codec.weights_hash
        assert not any(value.is_inference() for value in made.model.parameters())
        buffers = dict(semantic_codec.model.named_buffers())
        for buffer, tensor in made.model.named_buffers():
            assert torch.equal(tensor, buffers[buffer]), buffer
            assert tensor.dtype == buffers[buffer].dtype
        assert torch.equal(made.encode(clip, 16_000).codes, semantic_codec.encode(clip, 16_000).codes)


def test_what_inference_mode_made_goes_on_outside(tiny_codec, noise):
    """A stream that is begun in one mode goes on in the other, and ids train an embedding."""
    ids = list(range(90))
    decoder = tiny_codec.stream_decoder()
    with torch.inference_mode():
        tokens = tiny_codec.encode(noise(9_000), 16_000)
        first = decoder.push(ids[:40])
    rest = [decoder.push(ids[40:]), decoder.flush()]
    np.testing.assert_allclose(np.concatenate([first, *rest]), tiny_codec.decode(ids), atol=1e-5)
    embedding = torch.nn.Embedding(512, 4)
    embedding(tokens.unit).sum().backward()
    assert embedding.weight.grad is not None
