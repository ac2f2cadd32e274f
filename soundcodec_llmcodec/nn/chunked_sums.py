"""Sums of a loss over many rows, a few rows at a time, so that logits over all codes are never whole in memory.

Any loss, whose gradient autograd takes. `vocabulary_loss` has cross-entropy alone, which is faster by its gradient in
closed form, in place and in the type of the states; the sums of the two differ in their last bits.

Letters: N rows, V codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Logits held at a time: 16 MiB in float32, small enough to stay near the processor, large enough for full products.
CHUNK_ELEMENTS = 4_194_304
RowLoss = Callable[..., tuple[Tensor, Tensor]]


def chunked_sum(
    loss: RowLoss, rows: tuple[Tensor, ...], shared: tuple[Tensor, ...], codes: int
) -> tuple[Tensor, Tensor]:
    """(sum of the loss, sum of its statistics) over rows, with gradients to rows and shared tensors.

    `loss(*rows, *shared)` takes tensors whose first axis is some of the N rows, gives (scalar, statistics (any shape)),
    each a sum over those rows, and makes tensors of up to rows x `codes`. Each chunk's gradient is taken as soon as its
    loss is known: nothing of size N x V outlives a chunk and nothing is computed twice. Statistics carry no gradient.
    The result can be differentiated once.
    """
    size = max(1, CHUNK_ELEMENTS // max(1, codes))
    return _ChunkedSum.apply(loss, len(rows), size, torch.is_grad_enabled(), *rows, *shared)


class _ChunkedSum(torch.autograd.Function):
    """The gradient is computed with the value and only scaled in `backward`."""

    @staticmethod
    def forward(
        ctx: Any, loss: RowLoss, n_rowed: int, size: int, with_gradient: bool, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        needs = [with_gradient and needed for needed in ctx.needs_input_grad[4:]]
        rows, shared = tensors[:n_rowed], tensors[n_rowed:]
        leaves = [tensor.detach().requires_grad_(need) for tensor, need in zip(shared, needs[n_rowed:], strict=True)]
        row_gradients: list[list[Tensor]] = [[] for _ in rows]
        shared_gradients: list[Tensor | None] = [None] * len(shared)
        totals, statistics = [], []
        for start in range(0, max(1, len(rows[0])), size):
            parts = [
                row[start : start + size].detach().requires_grad_(need)
                for row, need in zip(rows, needs[:n_rowed], strict=True)
            ]
            inputs = [tensor for tensor in (*parts, *leaves) if tensor.requires_grad]
            with torch.set_grad_enabled(bool(inputs)):
                value, counts = loss(*parts, *leaves)
            totals.append(value.detach())
            statistics.append(counts.detach())
            taken = iter(torch.autograd.grad(value, inputs) if inputs else ())
            for gradients, part in zip(row_gradients, parts, strict=True):
                if part.requires_grad:
                    gradients.append(next(taken))
            for index, leaf in enumerate(leaves):
                if leaf.requires_grad:
                    gradient, before = next(taken), shared_gradients[index]
                    shared_gradients[index] = gradient if before is None else before.add_(gradient)
        whole = [torch.cat(gradients) if gradients else None for gradients in row_gradients]
        ctx.gradients = [*whole, *shared_gradients]
        summed = torch.stack(statistics).sum(dim=0)
        ctx.mark_non_differentiable(summed)
        return torch.stack(totals).sum(), summed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, None, None, *scaled_gradients(ctx, outer[0]))


def scaled_gradients(ctx: Any, outer: Tensor) -> list[Tensor | None]:
    """The gradients that a forward pass left in `ctx.gradients`, times the gradient at the loss; used up by this.

    Raises RuntimeError the second time: they are as large as the weights they belong to, and not kept.
    """
    gradients, ctx.gradients = ctx.gradients, None
    if gradients is None:
        raise RuntimeError("this loss was differentiated already; compute it again")
    return [None if gradient is None else gradient.mul_(outer.to(gradient.dtype)) for gradient in gradients]


def cross_entropy_rows(logits: Tensor, codes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(weighted sum of cross-entropies, (2,): weighted hits, weight) of float32 logits (N, V) against codes (N,)."""
    picked = logits.gather(1, codes[:, None])[:, 0]
    total = ((logits.logsumexp(dim=1) - picked) * weights).sum()
    hits = (logits.detach().argmax(dim=1) == codes).to(weights.dtype)
    return total, torch.stack(((hits * weights).sum(), weights.sum()))
