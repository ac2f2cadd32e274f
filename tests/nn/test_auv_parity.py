"""Random weights loaded into PyPI's `auv` and into ours give the same tokens and the same audio."""

from __future__ import annotations

import importlib.util
import sys
import types

import pytest
import torch

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel, framed_samples

if importlib.util.find_spec("auv") is None or importlib.util.find_spec("einops") is None:
    pytest.skip("needs the packages auv and einops (the test extra)", allow_module_level=True)


def _no_resampling(samples, orig_freq, new_freq):
    assert orig_freq == new_freq, "the parity test feeds the codec's own rate"
    return samples


@pytest.fixture(scope="module")
def auv_modules():
    """auv's module classes; where torchaudio cannot be imported, a stand-in for the one function auv takes from it."""
    try:
        import torchaudio.functional  # noqa: F401
    except (ImportError, OSError):
        functional = types.ModuleType("torchaudio.functional")
        functional.resample = _no_resampling
        package = types.ModuleType("torchaudio")
        package.functional = functional
        sys.modules["torchaudio"], sys.modules["torchaudio.functional"] = package, functional
    from auv.modules import codec

    return codec


def _auv(modules, config: CodecConfig):
    shared = {"hop_length": config.hop_length, "hidden_size": config.hidden_size, "ffn_mult": config.ffn_mult}
    shared["max_position_embeddings"] = 4096
    root = torch.nn.Module()
    root.tokenizer = modules.AUVCodecEncWithVQ(
        sample_rate=config.sample_rate,
        enc_conf={"num_layers": config.encoder_layers, **shared},
        vq_conf={
            "vq_type": "fvq",
            "num_quantizers": 1,
            "dim": config.hidden_size,
            "codebook_size": config.codebook_size,
            "codebook_dim": config.codebook_dim,
            "commitment": 0.25,
            "codebook_partition_maps": {name: [start, end] for name, start, end in config.codebook_partitions},
        },
    )
    root.token2wav = modules.AUVCodecDec(dec_conf={"num_layers": config.decoder_layers, **shared})
    return root.eval()


@pytest.fixture(scope="module")
def pair(auv_modules):
    torch.manual_seed(0)
    published = CodecConfig.preset("published").to_dict()
    config = CodecConfig.from_dict({**published, "encoder_layers": 2, "decoder_layers": 2, "hidden_size": 128})
    theirs = _auv(auv_modules, config)
    for name, buffer in theirs.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0.0, 0.3)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    ours = CodecModel(config).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


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


def test_published_preset_has_the_published_keys_and_size(auv_modules):
    config = CodecConfig.preset("published")
    with torch.device("meta"):
        theirs, ours = _auv(auv_modules, config).state_dict(), CodecModel(config).state_dict()
    assert {name: tensor.shape for name, tensor in theirs.items()} == {n: t.shape for n, t in ours.items()}
    parameters = sum(p.numel() for p in CodecModel(config).to("meta").parameters())
    assert round(parameters / 1e6, 1) == 122.6
