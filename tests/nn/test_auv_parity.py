"""Random weights loaded into PyPI's `auv` and into ours give the same tokens and the same audio."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from benchmarks import auv_peer
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel, framed_samples

if importlib.util.find_spec("auv") is None or importlib.util.find_spec("einops") is None:
    pytest.skip("needs the packages auv and einops (the test extra)", allow_module_level=True)


@pytest.fixture(scope="module")
def pair():
    published = CodecConfig.preset("published").to_dict()
    config = CodecConfig.from_dict({**published, "encoder_layers": 2, "decoder_layers": 2, "hidden_size": 128})
    return auv_peer.pair(config)


@pytest.mark.parametrize("frames", [2, 3, 31, 50, 512])
@pytest.mark.parametrize("domain", [None, "speech", "other"])
@torch.inference_mode()
def test_tokens_and_audio_equal_auv(pair, frames, domain):
    theirs, ours = pair
    torch.manual_seed(frames)
    samples = 0.3 * torch.randn(frames * 320)
    expected = theirs.tokenizer(samples[None], wav_types=None if domain is None else [domain])
    codes = ours.encode(framed_samples(samples, ours.config)[None], domain=domain)
    assert torch.equal(codes[0, 0], expected["tokens"][0, 0])
    start, end = ours.config.partition(domain)
    assert codes.min() >= start
    assert codes.max() < end
    audio = ours.decode(codes)
    assert audio.shape == (1, frames * 320)
    torch.testing.assert_close(audio, theirs.token2wav(expected["quantized"])[:, 0], atol=1e-5, rtol=0)


def test_published_preset_has_the_published_keys_and_size():
    config = CodecConfig.preset("published")
    with torch.device("meta"):
        theirs, ours = auv_peer.network(config).state_dict(), CodecModel(config).state_dict()
    assert {name: tensor.shape for name, tensor in theirs.items()} == {n: t.shape for n, t in ours.items()}
    parameters = sum(p.numel() for p in CodecModel(config).to("meta").parameters())
    assert round(parameters / 1e6, 1) == 122.6
