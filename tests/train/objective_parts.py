"""What the tests of the language-model objectives share: a tiny codec, a tiny causal LM, and who got gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.quantizer import FactorizedQuantizer, Quantized

CODEC = CodecConfig.preset("tiny")
WIDTH = 24


def tiny_codec(seed: int = 0) -> CodecModel:
    """An untrained tiny codec."""
    torch.manual_seed(seed)
    return CodecModel(CODEC)


def quantizer_of(model: CodecModel) -> FactorizedQuantizer:
    """Its one quantizer."""
    return model.tokenizer.vq.levels[0]


def padded_noise(frames: int = 20, batch: int = 2, seed: int = 0) -> Tensor:
    """Encoder input (B, (F - 1) * hop + n_fft)."""
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(batch, (frames - 1) * CODEC.hop_length + CODEC.n_fft, generator=generator)


def quantized_noise(model: CodecModel, **size: int) -> Quantized:
    """The codec's codes of noise, with the graph to its encoder."""
    return model.tokenizer(padded_noise(**size), None, 0, CODEC.codebook_size)


def generator(seed: int = 0, step: int = 0) -> torch.Generator:
    """As a run would make it: from (seed, step)."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def embeddings(seed: int = 0) -> Tensor:
    """Audio embeddings (V, E) that train."""
    return torch.randn(CODEC.codebook_size, WIDTH, generator=generator(seed)).requires_grad_()


def frozen_lm(layers: int = 3) -> nn.Module:
    """A random causal LM of width WIDTH whose weights take no gradient."""
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=layers, num_attention_heads=2
    )
    return LlamaModel(config).eval().requires_grad_(False)


def hidden_states(lm: nn.Module, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
    """layers + 1 of (B, L, E)."""
    return lm(inputs_embeds=inputs, attention_mask=mask, output_hidden_states=True, use_cache=False).hidden_states


def encoder_gradient(model: CodecModel) -> float:
    """The sum of the absolute gradients at the encoder's parameters; a missing gradient is zero."""
    parts = (model.tokenizer.stft_head, model.tokenizer.conformer)
    return sum(float(p.grad.abs().sum()) for part in parts for p in part.parameters() if p.grad is not None)


def untouched(module: nn.Module) -> bool:
    """Whether no parameter has a gradient."""
    return all(parameter.grad is None for parameter in module.parameters())
