"""A frozen LLM small enough for a trainer's tests: a random Llama of width 24 that reads letters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from objective_parts import CODEC, WIDTH, frozen_lm
from torch import Tensor

from soundcodec_llmcodec.train.objectives.language import Start


class ToyLM:
    """What `train.objectives.FrozenLM` asks for."""

    width, n_layers = WIDTH, 3

    def __init__(self, bos: bool = True) -> None:
        self.model = frozen_lm(self.n_layers)
        self.bos_id = 1 if bos else None

    def embed_ids(self, ids: Tensor) -> Tensor:
        return self.model.embed_tokens(ids)

    def embed_text(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        rows = [[2 + ord(letter) % 38 for letter in text] for text in texts]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        return ids, mask, self.embed_ids(ids)

    def hidden_states(self, inputs_embeds: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        return self.model(
            inputs_embeds=inputs_embeds, attention_mask=attention_mask, output_hidden_states=True, use_cache=False
        ).hidden_states

    def start(self) -> Start:
        drawn = torch.Generator().manual_seed(0)
        rows = 0.05 * torch.randn(CODEC.codebook_size, WIDTH, generator=drawn)
        return Start(rows, rows.clone(), self.n_layers)
