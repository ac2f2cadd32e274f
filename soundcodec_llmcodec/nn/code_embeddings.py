"""The codes' rows as a network of code vectors, so that what is learnt of one code is learnt of its neighbours.

Twenty thousand free rows see a few tokens each in a short run, and say nothing for as long; a network of the codebook
says something of every code after its first steps.

Letters: V codes, K codebook dimensions, E LM width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class CodeRows(nn.Module):
    """Several tables (V, E) from code vectors (V, K): two hidden layers that all tables share, a last one for each.

    The codebook moves while the tables train, so it comes with each call; `lm.training.embedding_rows` has the rows of
    a codebook that stays. For codes that point everywhere alike, a table begins around the mean of its start rows and
    as spread as they are.
    """

    def __init__(self, codebook_dim: int, hidden: int, starts: Sequence[Tensor]) -> None:
        """`starts` (V, E): the rows that each table would begin with if its rows were free."""
        super().__init__()
        self.shared = hidden_layers((codebook_dim, hidden, hidden))
        self.tables = nn.ModuleList(nn.Linear(hidden, start.shape[1]) for start in starts)
        with torch.no_grad():
            directions = functional.normalize(torch.randn(1024, codebook_dim), dim=-1)
            features = self.shared(at_unit_variance(directions))
            for table, start in zip(self.tables, starts, strict=True):
                assert isinstance(table, nn.Linear)
                mean = start.float().mean(dim=0)
                drawn = table(features)
                # Around its own mean over codes, so that the start's mean is what is left.
                table.weight *= (start.float() - mean).std() / (drawn - drawn.mean(dim=0)).std().clamp_min(1e-6)
                table.bias.copy_(mean - (features @ table.weight.t()).mean(dim=0))

    def forward(self, codebook: Tensor) -> list[Tensor]:
        """The tables (V, E) of a codebook (V, K); only the vectors' directions count."""
        features = self.shared(at_unit_variance(functional.normalize(codebook.float(), dim=-1)))
        return [table(features) for table in self.tables]


def hidden_layers(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers from each size to the next, each with a GELU behind it."""
    pairs = [(nn.Linear(n_in, n_out), nn.GELU()) for n_in, n_out in itertools.pairwise(sizes)]
    return nn.Sequential(*[layer for pair in pairs for layer in pair])


def at_unit_variance(directions: Tensor) -> Tensor:
    """Unit vectors (V, K) brought to unit variance."""
    return directions * directions.shape[1] ** 0.5
