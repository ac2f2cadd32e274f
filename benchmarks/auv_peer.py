"""The peer: PyPI's `auv` with a config of ours and random weights, and our model with the same weights.

    peer, ours = pair(CodecConfig.preset("published"), seed=0)

auv imports torchaudio for its resampling alone; where torchaudio cannot be imported a stand-in takes its place that
refuses to resample, so both get audio at the codec's own rate.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel


def pair(config: CodecConfig, seed: int = 0) -> tuple[nn.Module, CodecModel]:
    """auv's network and ours, in eval mode with one set of random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theirs = network(config)
        for name, buffer in theirs.named_buffers():
            # Statistics as training leaves them, so that a batch norm that is forgotten shows.
            if name.endswith("running_mean"):
                buffer.normal_(0.0, 0.3)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
    ours = CodecModel(config).eval().requires_grad_(False)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def network(config: CodecConfig) -> nn.Module:
    """auv's network in eval mode: `tokenizer` (samples (1, S) to a dict) and `token2wav` (features to samples)."""
    modules = _modules()
    shared: dict[str, Any] = {"hop_length": config.hop_length, "hidden_size": config.hidden_size}
    shared |= {"ffn_mult": config.ffn_mult, "max_position_embeddings": 4096}
    root = nn.Module()
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
    return root.eval().requires_grad_(False)


def _modules() -> Any:
    try:
        import torchaudio.functional  # noqa: F401
    except (ImportError, OSError):
        functional = types.ModuleType("torchaudio.functional")
        functional.resample = _no_resampling  # type: ignore[attr-defined]
        package = types.ModuleType("torchaudio")
        # transformers looks for packages by what they say of themselves, also where they are imported already.
        package.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        package.functional = functional  # type: ignore[attr-defined]
        sys.modules["torchaudio"], sys.modules["torchaudio.functional"] = package, functional
    from auv.modules import codec

    return codec


def _no_resampling(samples: Tensor, orig_freq: int, new_freq: int) -> Tensor:
    if orig_freq != new_freq:
        raise ValueError(f"the stand-in for torchaudio does not resample: {orig_freq} to {new_freq} Hz")
    return samples
