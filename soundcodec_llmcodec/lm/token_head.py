"""From a causal language model's states to likelihoods of codes, without logits of more than a block at a time.

Letters: B batch, L LM positions, E LM width, T positions to score, R rows of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from soundcodec_llmcodec.lm.weights import output_head
from soundcodec_llmcodec.vocabulary import TokenSpec

# Logits at a time. On a CPU they stay in its cache (4 MiB); a GPU wants few large steps (256 MiB).
_BLOCK = 1 << 20
_BLOCK_GPU = 1 << 26
# Products with fewer rows than this would be slow.
_NARROWEST = 256
_TOLERANCE = 1e-3


class TokenHead:
    """A causal LM as states and a head, which is applied to blocks of rows.

    Raises ValueError for a model whose logits are not its head's product with its last state (Granite scales them).
    """

    def __init__(self, model: Any, spec: TokenSpec) -> None:
        self.model = model
        self.spec = spec
        self.head = output_head(model)
        probe = torch.tensor([[spec.first_id, spec.end_id - 1]], device=self.head.weight.device)
        expected = model(input_ids=probe, use_cache=False).logits[0].float()
        states = self.states(probe)[0]
        logits = torch.cat([self._logits(states, rows) for rows in self._blocks(len(states))], dim=1)
        # Half-precision models round their own logits.
        scale = expected.abs().amax().clamp(min=1) * max(_TOLERANCE, 4 * torch.finfo(model.dtype).eps)
        if not torch.allclose(logits, expected, rtol=0, atol=float(scale)):
            raise ValueError(f"{type(model).__name__} changes its logits behind its head, which is not supported")

    def states(self, ids: Tensor) -> Tensor:
        """The last hidden states (B, L, E) of ids (B, L), padded on the right with any ids."""
        return self.model.base_model(input_ids=ids, use_cache=False).last_hidden_state

    def nll(self, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Negative log-likelihoods in nats, float32 (T,), of ids of codes (T,) after states (T, E).

        The first is over the codes alone, the second over all rows.
        """
        sums: dict[bool, list[Tensor]] = {True: [], False: []}
        for rows in self._blocks(len(states)):
            inside = rows.start >= self.spec.first_id and rows.stop <= self.spec.end_id
            sums[inside].append(self._logits(states, rows).logsumexp(dim=1))
        chosen = (states.float() * self.head.weight[targets].float()).sum(dim=1)
        if self.head.bias is not None:
            chosen = chosen + self.head.bias[targets].float()
        codes = torch.stack(sums[True]).logsumexp(dim=0)
        everything = torch.stack([codes, *sums[False]]).logsumexp(dim=0) if sums[False] else codes
        # A likelihood of 1 may be rounded to more.
        return (codes - chosen).clamp(min=0), (everything - chosen).clamp(min=0)

    def _blocks(self, positions: int) -> Iterator[slice]:
        """Rows of the vocabulary, the codes apart from the others, as many at once as their logits have room."""
        room = _BLOCK_GPU if self.head.weight.is_cuda else _BLOCK
        width = max(_NARROWEST, room // max(1, positions))
        first, end, size = self.spec.first_id, self.spec.end_id, len(self.head.weight)
        for start, stop in ((0, first), (first, end), (end, size)):
            for at in range(start, stop, width):
                yield slice(at, min(stop, at + width))

    def _logits(self, states: Tensor, rows: slice) -> Tensor:
        """Logits (T, R) in float32, whatever the weights have."""
        bias = None if self.head.bias is None else self.head.bias[rows].float()
        return functional.linear(states.float(), self.head.weight[rows].float(), bias)
