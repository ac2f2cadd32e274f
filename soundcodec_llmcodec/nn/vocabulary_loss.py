"""Cross-entropy over a large vocabulary, some rows at a time, and what scores need of the logits.

Its gradient is in closed form; `chunked_sums` takes any loss, by autograd.

Letters: N scored positions, R rows of the vocabulary, E LM width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from soundcodec_llmcodec.nn.chunked_sums import scaled_gradients

# Logits held at a time: on processors few enough to stay near them, elsewhere enough for full products.
CHUNK_ELEMENTS = 4_194_304
DEVICE_CHUNK_ELEMENTS = 134_217_728


def summed_nll(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """The sum of -log softmax(states @ weight.T + bias)[target], float32; states (N, E), weight (R, E), targets (N,).

    Products are taken in the type of `states`, everything else in float32. Each chunk's gradient is taken as soon as
    its loss is known, so that nothing of size N x R outlives a chunk. The result can be differentiated once.
    """
    return _SummedNLL.apply(states, weight, bias, targets, torch.is_grad_enabled())


class _SummedNLL(torch.autograd.Function):
    """The gradient, softmax minus one-hot, is computed with the value and only scaled in `backward`."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, with_gradient: bool
    ) -> Tensor:
        needs = [with_gradient and needed for needed in ctx.needs_input_grad[:3]]
        inner = weight.to(states.dtype)
        grads = (
            torch.empty_like(states) if needs[0] else None,
            torch.zeros_like(weight, dtype=torch.float32) if needs[1] else None,
            torch.zeros_like(bias, dtype=torch.float32) if bias is not None and needs[2] else None,
        )
        total = states.new_zeros((), dtype=torch.float32)
        size = _chunk(weight)
        for start in range(0, len(states), size):
            chunk, target_ids = states[start : start + size], targets[start : start + size, None]
            logits = functional.linear(chunk, inner, None if bias is None else bias.to(inner.dtype))
            nll, probabilities = _softmax(logits, target_ids)
            total += nll.sum()
            if any(needs):
                _add_gradients(chunk, inner, probabilities, target_ids, grads, start)
        ctx.gradients = grads
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return (*scaled_gradients(ctx, outer), None, None)


def _chunk(weight: Tensor) -> int:
    """Rows of states at a time for a head (R, E)."""
    elements = CHUNK_ELEMENTS if weight.device.type == "cpu" else DEVICE_CHUNK_ELEMENTS
    return max(1, elements // len(weight))


def _softmax(logits: Tensor, target_ids: Tensor) -> tuple[Tensor, Tensor]:
    """-log softmax at `target_ids` (n, 1), float32, and the softmax (n, R) in the type of the logits (n, R)."""
    if logits.dtype == torch.float32:
        logs = functional.log_softmax(logits, dim=-1)
        return -logs.gather(1, target_ids), logs.exp_()
    # One pass, in float32 inside. A probability of zero counts as the smallest there is: at most 88 nats.
    probabilities = logits.softmax(dim=-1)
    chosen = probabilities.gather(1, target_ids).float()
    return -chosen.clamp_min(torch.finfo(torch.float32).tiny).log(), probabilities


def _add_gradients(
    chunk: Tensor, inner: Tensor, errors: Tensor, target_ids: Tensor, grads: tuple[Tensor | None, ...], start: int
) -> None:
    """Add one chunk's gradients to those of states, weight and bias; `errors`, the softmax (n, R), is used up."""
    of_states, of_weight, of_bias = grads
    errors.scatter_add_(1, target_ids, errors.new_full(target_ids.shape, -1.0))
    if of_bias is not None:
        of_bias += errors.sum(dim=0, dtype=torch.float32)
    if of_states is not None:
        torch.mm(errors, inner, out=of_states[start : start + len(chunk)])
    if of_weight is not None:
        of_weight += errors.t() @ chunk


@torch.no_grad()
def both_nll(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, first: int, end: int
) -> tuple[Tensor, Tensor]:
    """(over the codes, over all) negative log-likelihoods float32 (N,) of targets that are codes, rows [first, end)."""
    parts = []
    size = _chunk(weight)
    for start in range(0, len(states), size):
        logits = functional.linear(states[start : start + size].float(), weight.float())
        if bias is not None:
            logits += bias
        own = logits.gather(1, targets[start : start + size, None])[:, 0]
        codes = logits[:, first:end].logsumexp(dim=1)
        others = torch.cat((logits[:, :first], logits[:, end:]), dim=1).logsumexp(dim=1)
        parts.append(torch.stack((codes - own, torch.logaddexp(codes, others) - own)))
    audio, full = torch.cat(parts, dim=1) if parts else states.new_zeros(2, 0, dtype=torch.float32)
    return audio, full
