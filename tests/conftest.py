"""Shared parts: tiny seeded codecs, so that every test runs on real model objects without a download."""

from __future__ import annotations

import signal

import pytest
import torch

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import CodecModel

# Tiny models gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The tiny preset that sees magnitudes, and beside them a small speech encoder in blocks of 12 frames.
SEMANTIC = {
    **CodecConfig.preset("tiny").to_dict(),
    "magnitudes": {"bands": 24, "low_bins": 40},
    "semantic": {"width": 16, "heads": 2, "ffn_width": 24, "mels": 20, "layers": [0, 2], "block_frames": 12}
    | {"context_frames": 4},
}


@pytest.fixture(scope="session")
def tiny_codec() -> LLMCodec:
    """An untrained codec of the tiny preset (attention window 4 frames)."""
    return LLMCodec.random(CodecConfig.preset("tiny"))


@pytest.fixture(scope="session")
def semantic_codec() -> LLMCodec:
    """An untrained codec with a semantic branch."""
    return LLMCodec.random(CodecConfig.from_dict(SEMANTIC))


@pytest.fixture(scope="session")
def joined_codec() -> LLMCodec:
    """An untrained codec of three levels with X-Codec's semantic branch, decoded from one level or all."""
    semantic = {**SEMANTIC["semantic"], "join": {"width": 16}}
    fields = {**SEMANTIC, "semantic": semantic, "num_quantizers": 3, "level_choices": [1, 3]}
    return LLMCodec.random(CodecConfig.from_dict(fields))


@pytest.fixture(scope="session")
def harmonic_codec() -> LLMCodec:
    """An untrained codec with a harmonic source, whose pitch moves and whose filter is not flat."""
    codec = LLMCodec.random(CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), "harmonics": {}}))
    source, drawn = codec.model.token2wav.harmonics, torch.Generator().manual_seed(0)
    assert source is not None
    with torch.no_grad():
        source.pitch.weight.normal_(generator=drawn)
        source.filter.weight.normal_(std=0.1, generator=drawn)
    return codec


@pytest.fixture(scope="session")
def unbounded_codec() -> LLMCodec:
    """The same with whole-clip attention, as published."""
    fields = {**CodecConfig.preset("tiny").to_dict(), "attention_window": None}
    return LLMCodec.random(CodecConfig.from_dict(fields))


@pytest.fixture
def noise():
    """noise(n, seed): n float32 samples in [-1, 1]."""

    def make(n: int, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return (0.2 * torch.randn(n, generator=generator)).clamp(-1, 1)

    return make


@pytest.fixture
def small_published(monkeypatch):
    """A published-style state dict, with the published preset made small for the test."""
    fields = {"hidden_size": 64, "encoder_layers": 1, "decoder_layers": 1, "codebook_size": 64}
    monkeypatch.setattr(CodecConfig, "preset", classmethod(lambda cls, name: cls(**fields)))
    torch.manual_seed(0)
    return CodecModel(CodecConfig(**fields)).state_dict()
