"""A causal LM that trains on packed rows, wherever its codes' rows come from.

Letters: B batch, L LM positions, E LM width, V codes, R rows of the whole vocabulary, N scored positions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.lm.training.packing import Layout, PackedBatch
from soundcodec_llmcodec.lm.weights import input_embedding, output_head
from soundcodec_llmcodec.nn.vocabulary_loss import both_nll, summed_nll
from soundcodec_llmcodec.vocabulary import TokenSpec


class Network(nn.Module):
    """A causal LM over token ids whose codes' rows may come from modules beside it.

    `rows` are the codes' rows at the input and `head_rows` those at the head; the same module where the two are tied,
    None where the LM's own matrices have them. `holds_codes` says whether the LM's own matrices have a place for the
    codes (whose content `rows` replaces), or only the other tokens.
    """

    def __init__(
        self,
        lm: Any,
        spec: TokenSpec,
        layout: Layout,
        rows: nn.Module | None = None,
        head_rows: nn.Module | None = None,
        *,
        holds_codes: bool = True,
        token_dropout: float = 0.0,
        dropout: float = 0.0,
        tokenizer: Any = None,
        wrapped: Any = None,
    ) -> None:
        """`tokenizer` goes with the exported model; `wrapped` is PEFT's model around `lm`."""
        super().__init__()
        self.lm, self.spec, self.layout, self.tokenizer = lm, spec, layout, tokenizer
        self.rows, self.head_rows = rows, head_rows
        self.holds_codes, self.token_dropout, self.dropout = holds_codes, token_dropout, dropout
        # PEFT's wrapper, whose layers are in `lm` already: not a module of this one, or each weight had two names.
        self._wrapped = [wrapped]

    @property
    def adapters(self) -> Any:
        """PEFT's model around `lm`, None where there is none."""
        return self._wrapped[0]

    def forward(self, batch: PackedBatch, dtype: torch.dtype = torch.float32) -> Tensor:
        """The sum of the negative log-likelihoods of a batch's scored positions, over all tokens, float32.

        `dtype` is of the head's products; the model's own are as autocast says.
        """
        states, targets, weight, bias = self._scored(batch)
        return summed_nll(states.to(dtype), weight, bias, targets)

    @torch.no_grad()
    def nll(self, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """(over the codes, over all tokens) float32 (N,): of the batch's targets that are codes, row by row."""
        states, targets, weight, bias = self._scored(batch)
        codes = self.spec.is_code(targets)
        return both_nll(states[codes], weight, bias, targets[codes], self.spec.first_id, self.spec.end_id)

    def tables(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """(R, E) at the input, (R, E) and bias (R,) at the head, with the codes' rows in their place."""
        head = output_head(self.lm)
        entering = self._table(input_embedding(self.lm).weight, self.rows)
        if self.head_rows is self.rows and head.weight is input_embedding(self.lm).weight:
            return entering, entering, head.bias
        return entering, self._table(head.weight, self.head_rows), head.bias

    def trained(self) -> dict[str, nn.Parameter]:
        """What trains, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def _table(self, own: Tensor, rows: nn.Module | None) -> Tensor:
        if rows is None:
            return own
        first = self.spec.first_id
        return torch.cat((own[:first], rows().to(own.dtype), own[self.spec.end_id if self.holds_codes else first :]))

    def _scored(self, batch: PackedBatch) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """States (N, E) and targets (N,) of scored positions, and the head's table and bias."""
        entering, leaving, bias = self.tables()
        embedded = functional.embedding(batch.ids, entering)
        if self.training and self.token_dropout:
            hidden = torch.rand(batch.ids.shape, device=batch.ids.device) < self.token_dropout
            embedded = embedded.masked_fill((hidden & self.spec.is_code(batch.ids))[..., None], 0)
        embedded = functional.dropout(embedded, self.dropout, self.training)
        states = self.lm.base_model(
            inputs_embeds=embedded,
            attention_mask=batch.mask(),
            position_ids=batch.positions,
            use_cache=False,
        ).last_hidden_state
        dropped_out = functional.dropout(states[batch.scored], self.dropout, self.training)
        return dropped_out, batch.targets[batch.scored], leaving, bias


@contextlib.contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """PyTorch's random draws, on the CPU and on `device`, from this seed within the block, and as before after it."""
    with torch.random.fork_rng([device] if device is not None and device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
