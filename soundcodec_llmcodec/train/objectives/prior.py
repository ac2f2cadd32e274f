"""A causal prior over codes, trained with the codec: what is surprising given the past costs the encoder.

Its targets are the encoder's choice (`soft_targets`): the loss falls as the prior learns and as the encoder prefers,
among codes that fit about as well, the one that follows from those before.

Letters: B batch, F frames, K codebook dimensions, V codes, W prior width, N rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.chunked_sums import chunked_sum
from soundcodec_llmcodec.nn.code_embeddings import CodeRows
from soundcodec_llmcodec.nn.conformer import rotary_tables, rotate
from soundcodec_llmcodec.nn.quantizer import FactorizedQuantizer, Quantized
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.setting import setting
from soundcodec_llmcodec.train.objectives.soft_targets import TEMPERATURE, rate_rows, soft_targets

_START_DEVIATION = 0.02


@dataclass(frozen=True)
class PriorConfig:
    """The prior's size, and what it learns from."""

    layers: int = setting(3, "transformer layers")
    width: int = setting(192, "features of a layer")
    heads: int = setting(4, "attention heads of a layer")
    temperature: float = setting(TEMPERATURE, "temperature of the encoder's softmax over cosines")
    rows: Literal["free", "codebook"] = setting(
        "free",
        "what states are compared with: rows each learnt by itself, or a network of the code vectors beside a bias for "
        "each code",
    )
    row_hidden: int = setting(256, "hidden units of that network")
    context_gradient: bool = setting(
        False, "whether the encoder also learns to be a good past (straight-through), or only to follow it"
    )

    def __post_init__(self) -> None:
        if self.row_hidden < 1:
            raise TrainConfigError(f"the prior's row_hidden must be at least 1, got {self.row_hidden!r}")
        if self.layers < 1 or self.heads < 1 or self.width < 1 or self.width % (2 * self.heads):
            raise TrainConfigError(
                f"the prior's width must be a multiple of twice its heads, got width {self.width}, heads {self.heads}, "
                f"layers {self.layers}"
            )
        if not self.temperature > 0:
            raise TrainConfigError(f"the prior's temperature must be above zero, got {self.temperature!r}")


@dataclass(frozen=True)
class PriorLoss:
    """loss: nats a frame, of the encoder's softmax. nll_bits: bits a frame of the codes themselves, no gradient."""

    loss: Tensor
    nll_bits: Tensor


class _Block(nn.Module):
    """Causal attention with rotary positions, then a feed-forward, each on a normed residual."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = nn.LayerNorm(config.width)
        self.to_qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.to_out = nn.Linear(config.width, config.width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 4 * config.width),
            nn.GELU(),
            nn.Linear(4 * config.width, config.width),
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, F, W) to (B, F, W)."""
        q, k, v = self.to_qkv(self.norm(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.to_out(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(x)


class CausalPrior(nn.Module):
    """A small causal transformer over code vectors."""

    def __init__(self, config: PriorConfig, codec: CodecConfig) -> None:
        super().__init__()
        if codec.num_quantizers != 1:
            raise TrainConfigError(f"the prior takes one codebook, this codec has {codec.num_quantizers}")
        self.config = config
        self.start = nn.Parameter(0.02 * torch.randn(config.width))
        self.to_width = nn.Linear(codec.codebook_dim, config.width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        # Nearly uniform at first: nothing is made dearer before the prior has seen anything.
        self.network: CodeRows | None = None
        self.to_codes: nn.Linear | None = None
        if config.rows == "codebook":
            start = _START_DEVIATION * torch.randn(codec.codebook_size, config.width)
            self.network = CodeRows(codec.codebook_dim, config.row_hidden, [start])
            self.bias = nn.Parameter(torch.zeros(codec.codebook_size))
        else:
            self.to_codes = nn.Linear(config.width, codec.codebook_size)
            nn.init.normal_(self.to_codes.weight, std=_START_DEVIATION)
            nn.init.zeros_(self.to_codes.bias)

    def states(self, vectors: Tensor) -> Tensor:
        """(B, F, W): entry l has seen the code vectors (B, F, K) before frame l, and nothing else."""
        start = self.start.expand(len(vectors), 1, -1)
        x = torch.cat((start.to(vectors.dtype), self.to_width(vectors[:, :-1]).to(vectors.dtype)), dim=1)
        positions = torch.arange(x.shape[1], device=x.device)
        cos, sin = rotary_tables(positions, self.config.width // self.config.heads)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x)

    def head(self, codebook: Tensor) -> tuple[Tensor, Tensor]:
        """The codes' rows (V, W) and biases (V,), for a codebook (V, K), which takes no gradient."""
        if self.network is not None:
            (rows,) = self.network(codebook.detach())
            return rows, self.bias
        assert self.to_codes is not None
        return self.to_codes.weight, self.to_codes.bias

    def log_probabilities(self, vectors: Tensor, codebook: Tensor) -> Tensor:
        """(B, F, V): entry l is of the code at frame l given those before it; from unit code vectors (B, F, K) of a
        codebook (V, K)."""
        return functional.linear(self.states(vectors), *self.head(codebook)).float().log_softmax(dim=-1)

    def forward(
        self, quantized: Quantized, quantizer: FactorizedQuantizer, frame_mask: Tensor | None = None
    ) -> PriorLoss:
        """The loss of what `quantizer` gave, a mean over the frames of `frame_mask` (B, F), which come first in a clip.

        Gradients go to the prior and, through the latents, to the encoder; the codebook takes none.
        """
        codes = quantized.codes[:, 0]
        targets = soft_targets(quantized, quantizer, self.config.temperature)
        latents, directions = targets.latents, targets.directions
        vectors = functional.embedding(codes, directions)
        if self.config.context_gradient:
            vectors = latents + (vectors - latents).detach()
        valid = torch.ones_like(codes, dtype=torch.bool) if frame_mask is None else frame_mask.bool()
        shares = valid.float() / valid.sum().clamp_min(1)
        rows = (self.states(vectors), latents, codes, shares)
        shared = (*self.head(quantizer.codebook), directions)
        loss, nats = chunked_sum(self._rate, tuple(r.flatten(0, 1) for r in rows), shared, directions.shape[0])
        return PriorLoss(loss, nats / math.log(2))

    def _rate(
        self, states: Tensor, latents: Tensor, codes: Tensor, shares: Tensor, weight: Tensor, bias: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(weighted sum of -q . log p, that of -log p of the codes) over rows (N, W), (N, K), (N,), (N,)."""
        logits = functional.linear(states, weight, bias).float()
        rates, normaliser = rate_rows(logits, latents, unit, self.config.temperature)
        nats = normaliser.detach() - logits.detach().gather(1, codes[:, None])[:, 0]
        return (rates * shares).sum(), (nats * shares).sum()
