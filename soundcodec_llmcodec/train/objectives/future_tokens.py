"""Future-token prediction: heads on the language model's last hidden state, each for a token further ahead.

Medusa's heads (Cai et al. 2024) with inverse-distance weights, as LLM-Codec has them. Positions are counted by what was
read: the position that has read tokens 0..l can predict token l + 1 and later, and of nothing before.

Letters: B batch, F frames, L LM positions, E LM width, V codes, K heads (in SoftTargets: codebook dimensions), N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.nn.chunked_sums import chunked_sum, cross_entropy_rows
from soundcodec_llmcodec.train.objectives.soft_targets import SoftTargets, rate_rows


@dataclass(frozen=True)
class FutureTokenLoss:
    """loss: the weighted sum of the heads' mean cross-entropies, in nats. per_head (K,) those means, accuracy (K,) the
    share of targets each head has as its likeliest token (NaN where it had no target); both without gradient.

    With soft targets the cross-entropies are against the encoder's softmax over codes, not against its codes: losses of
    the two kinds do not compare."""

    loss: Tensor
    per_head: Tensor
    accuracy: Tensor


class FutureTokenHeads(nn.Module):
    """K bias-free linear layers E -> V; head j looks 1 + j tokens ahead."""

    weights: Tensor

    def __init__(
        self, width: int, codebook_size: int, heads: int = 5, rows: Tensor | None = None, *, own: bool = True
    ) -> None:
        """`rows` (V, E): the language model's own output rows of the audio tokens, from which each head starts.

        Without `own` the heads have no rows: `forward` is given them.
        """
        super().__init__()
        if heads < 1:
            raise ValueError(f"future-token prediction takes at least one head, got {heads}")
        if rows is not None and rows.shape != (codebook_size, width):
            raise ValueError(f"rows should be {(codebook_size, width)} (codes, width), got {tuple(rows.shape)}")
        self.heads = nn.ModuleList(nn.Linear(width, codebook_size, bias=False) for _ in range(heads if own else 0))
        if rows is not None:
            for weight in self.rows:
                weight.data.copy_(rows.detach())
        inverse = torch.tensor([1.0 / (j + 1) for j in range(heads)])
        self.register_buffer("weights", inverse / inverse.sum(), persistent=False)

    @property
    def rows(self) -> list[Tensor]:
        """Each head's weight (V, E)."""
        return [head.weight for head in self.heads if isinstance(head, nn.Linear)]

    def forward(
        self,
        hidden: Tensor,
        codes: Tensor,
        *,
        bos: bool,
        frame_mask: Tensor | None = None,
        rows: Sequence[Tensor] | None = None,
        soft: SoftTargets | None = None,
    ) -> FutureTokenLoss:
        """The loss of hidden states (B, L, E) of a causal model against codes (B, F); `rows` are (V, E) a head.

        With `soft` the loss is against the encoder's choice, which learns from it too; accuracy is of the codes.

        With `bos`, L is F + 1 and position 0 has read no token yet; without, L is F and position 0 has read token 0.
        A target counts where it lies in the clip and both it and the last token read are frames of `frame_mask`
        (B, F). Raises ValueError for other lengths, and for clips too short to give every head a target.
        """
        batch, frames = codes.shape
        if hidden.shape[:2] != (batch, frames + bos):
            raise ValueError(
                f"hidden states should be {(batch, frames + bos)} (batch, positions) for {frames} frames "
                f"{'with' if bos else 'without'} BOS, got {tuple(hidden.shape[:2])}"
            )
        count = len(self.weights)
        rows = self.rows if rows is None else rows
        if len(rows) != count:
            raise ValueError(f"expected the rows of {count} heads, got those of {len(rows)}")
        if frames - count + bos < 1:
            raise ValueError(f"{frames} frames give the last of {count} heads no target: use longer clips")
        valid = torch.ones_like(codes, dtype=torch.bool) if frame_mask is None else frame_mask.bool()
        # Whether each position's last read token is a frame; with BOS, position 0 has read none and may speak.
        read = functional.pad(valid, (1, 0), value=True) if bos else valid
        results = []
        for j, weight in enumerate(rows):
            first = j + 1 - bos  # the target of position 0
            n = frames - first
            counts = (read[:, :n] & valid[:, first:]).float()
            shares = counts / counts.sum().clamp_min(1)
            # One head after the other: the logits of two are never in memory together.
            pairs = (hidden[:, :n], codes[:, first:], shares)
            results.append(_head_loss(weight, *pairs) if soft is None else _soft_head_loss(weight, *pairs, soft, first))
        losses = torch.stack([loss for loss, _ in results])
        sums = torch.stack([statistics for _, statistics in results])
        return FutureTokenLoss((self.weights * losses).sum(), losses.detach(), sums[:, 0] / sums[:, 1])


def _head_loss(weight: Tensor, hidden: Tensor, codes: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """`cross_entropy_rows` of a linear layer (V, E) on hidden states (B, n, E), weighted by shares (B, n)."""

    def loss(rows: Tensor, targets: Tensor, row_shares: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        return cross_entropy_rows(functional.linear(rows.to(shared.dtype), shared).float(), targets, row_shares)

    rows = (hidden.flatten(0, 1), codes.flatten(), shares.flatten())
    return chunked_sum(loss, rows, (weight,), weight.shape[0])


def _soft_head_loss(
    weight: Tensor, hidden: Tensor, codes: Tensor, shares: Tensor, soft: SoftTargets, first: int
) -> tuple[Tensor, Tensor]:
    """As `_head_loss`, against the encoder's choice from frame `first` on."""

    def loss(
        rows: Tensor, targets: Tensor, row_shares: Tensor, latents: Tensor, shared: Tensor, directions: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits = functional.linear(rows.to(shared.dtype), shared).float()
        rates, _ = rate_rows(logits, latents, directions, soft.temperature)
        _, statistics = cross_entropy_rows(logits.detach(), targets, row_shares)
        return (rates * row_shares).sum(), statistics

    rows = (hidden, codes, shares, soft.latents[:, first:])
    return chunked_sum(loss, tuple(row.flatten(0, 1) for row in rows), (weight, soft.directions), weight.shape[0])
