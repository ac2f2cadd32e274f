"""The bridge from codec to language model: discrete audio tokens going in, gradients coming back.

Forward, the language model reads rows of its own audio-token embeddings; backward, their gradient goes through a
softmax over codes to the codec's encoder (Gumbel-softmax: Jang et al. 2017, Maddison et al. 2017). The codebook itself
takes no gradient here: it follows the encoder by the quantizer's own losses.

Letters: B batch, F frames, D codec features, K codebook dimensions, V codes, E LM width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.quantizer import FactorizedQuantizer, Quantized
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.setting import setting

MODES = ("gumbel", "straight_through", "detach")
LOGITS = ("linear", "codebook")
OPTIMIZERS = ("language", "codec")


@dataclass(frozen=True)
class BridgeConfig:
    """How codes become language-model inputs.

    `scale` is a power of two: products with it are exact, so that no rounding makes two codes equal that the quantizer
    tells apart. On the bundled codec's speech a token drawn at scale 32, 64, 128 or 256 is the codec's own code in 14,
    38, 66 or 82 % of frames.
    """

    mode: str = setting(
        "gumbel",
        "gumbel: a token is sampled, and gradients pass through the tempered softmax that drew it; straight_through: "
        "the likeliest token, with the softmax's gradient and no noise; detach: the codec's own codes, no gradient",
    )
    logits: str = setting(
        "linear",
        "linear: of a trained layer on quantized features, as published; codebook: scale times the quantizer's cosines",
    )
    temperature: float = setting(1.0, "the softmax's at the first step")
    final_temperature: float = setting(0.3, "the softmax's at the end of a cosine, and after it")
    temperature_steps: int = setting(20_000, "steps of that cosine")
    scale: float = setting(128.0, "factor of the quantizer's cosines, a power of two")
    optimizer: str = setting(
        "language",
        "which optimizer has the linear layer: that of the language parts, or the codec's, with its rates, its "
        "clipping (beside the encoder) and its start",
    )

    def __post_init__(self) -> None:
        for name, choices in (("mode", MODES), ("logits", LOGITS), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in choices:
                raise TrainConfigError(f"the bridge's {name} is one of {choices}, got {getattr(self, name)!r}")
        for name in ("temperature", "final_temperature"):
            if not getattr(self, name) > 0:
                raise TrainConfigError(f"the bridge's {name} must be above zero, got {getattr(self, name)!r}")
        if not self.scale > 0 or math.frexp(self.scale)[0] != 0.5:
            raise TrainConfigError(f"the bridge's scale must be a power of two, such as 128, got {self.scale!r}")

    def temperature_at(self, step: int) -> float:
        """The temperature at a step (counted from 0)."""
        if step >= self.temperature_steps:
            return self.final_temperature
        fall = 0.5 * (1 + math.cos(math.pi * step / self.temperature_steps))
        return self.final_temperature + (self.temperature - self.final_temperature) * fall


@dataclass(frozen=True)
class Bridged:
    """What the language model reads, and how well the bridge knows the codec's codes.

    inputs (B, F, E): rows of the embeddings. logits (B, F, V) float32. cross_entropy: of the logits against the codes,
    in nats, mean over frames. agreement: share of frames whose token is the codec's code.
    """

    inputs: Tensor
    logits: Tensor
    cross_entropy: Tensor
    temperature: float
    agreement: Tensor


class Bridge(nn.Module):
    """Quantized features to language-model inputs."""

    def __init__(self, config: BridgeConfig, codec: CodecConfig) -> None:
        super().__init__()
        if codec.num_quantizers != 1:
            raise TrainConfigError(f"the bridge takes one codebook, this codec has {codec.num_quantizers}")
        self.config = config
        self.linear = nn.Linear(codec.hidden_size, codec.codebook_size) if config.logits == "linear" else None

    def forward(
        self,
        quantized: Quantized,
        quantizer: FactorizedQuantizer,
        embeddings: Tensor,
        step: int,
        generator: torch.Generator,
        frame_mask: Tensor | None = None,
    ) -> Bridged:
        """Inputs for the language model from what `quantizer` gave and its audio embeddings (V, E).

        Only `gumbel` draws from `generator`, on the generator's device. Frames outside `frame_mask` (B, F) do not count
        in cross-entropy and agreement.
        """
        codes = quantized.codes[:, 0]
        logits = self._logits(quantized, quantizer)
        if embeddings.shape[0] != logits.shape[-1]:
            raise ValueError(f"{embeddings.shape[0]} audio embeddings for {logits.shape[-1]} codes: give a row a code")
        temperature = self.config.temperature_at(step)
        if self.config.mode == "detach":
            tokens = codes
            inputs = functional.embedding(tokens, embeddings)
        else:
            noisy = logits + _gumbel(logits, generator) if self.config.mode == "gumbel" else logits
            tokens = noisy.detach().argmax(dim=-1)
            inputs = _HardRows.apply((noisy / temperature).softmax(dim=-1), embeddings, tokens)
        valid = torch.ones_like(codes, dtype=torch.bool) if frame_mask is None else frame_mask
        share = valid.float() / valid.sum().clamp_min(1)
        entropies = functional.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none")
        agreement = ((tokens == codes).float() * share).sum()
        return Bridged(inputs, logits, (entropies * share.flatten()).sum(), temperature, agreement)

    def _logits(self, quantized: Quantized, quantizer: FactorizedQuantizer) -> Tensor:
        """(B, F, V) float32."""
        detached = self.config.mode == "detach"
        if self.linear is not None:
            return self.linear(quantized.features.detach() if detached else quantized.features).float()
        latents = quantized.latents[:, 0]
        # The quantizer compares in float32 whatever the rest runs in.
        with torch.autocast(latents.device.type, enabled=False):
            return self.config.scale * code_similarities(latents.detach() if detached else latents, quantizer)


def code_similarities(latents: Tensor, quantizer: FactorizedQuantizer) -> Tensor:
    """The very cosines (B, F, V) whose arg-max the quantizer took, with gradients to latents (B, F, K) alone."""
    return _CodeSimilarities.apply(latents, quantizer)


class _CodeSimilarities(torch.autograd.Function):
    """Forward runs as in the quantizer, without gradients: with them, PyTorch may pick another kernel, and with it
    other last bits, which is enough to turn a near tie round."""

    @staticmethod
    def forward(ctx: Any, latents: Tensor, quantizer: FactorizedQuantizer) -> Tensor:
        ctx.save_for_backward(latents, quantizer.codebook.detach().clone())
        return quantizer.similarities(latents)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        latents, codebook = ctx.saved_tensors
        towards = outer[0] @ functional.normalize(codebook, dim=-1)
        with torch.enable_grad():
            leaf = latents.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(functional.normalize(leaf, dim=-1), leaf, towards)
        return gradient, None


class _HardRows(torch.autograd.Function):
    """Rows of the embeddings by token; backward, as if the rows were mixed by the soft weights."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, embeddings: Tensor, tokens: Tensor) -> Tensor:
        ctx.save_for_backward(embeddings, tokens)
        ctx.soft_dtype = soft.dtype
        return functional.embedding(tokens, embeddings)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        embeddings, tokens = ctx.saved_tensors
        to_soft = to_rows = None
        if ctx.needs_input_grad[0]:
            to_soft = (outer[0].to(embeddings.dtype) @ embeddings.t()).to(ctx.soft_dtype)
        if ctx.needs_input_grad[1]:
            rows = outer[0].to(embeddings.dtype).flatten(0, 1)
            to_rows = torch.zeros_like(embeddings).index_add_(0, tokens.flatten(), rows)
        return to_soft, to_rows, None


def _gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise, -log(-log u); on CPUs a third of the time that exponential noise takes."""
    uniform = torch.rand(like.shape, dtype=torch.float32, device=generator.device, generator=generator)
    # u is a multiple of 2^-24 in [0, 1); in its middle, neither logarithm is of zero.
    noise = uniform.add_(2.0**-25).log_().neg_()
    return noise.clamp_min_(2.0**-25).log_().neg_().to(like.device)
