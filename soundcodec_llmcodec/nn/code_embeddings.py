"""The codes' rows as a network of code vectors, so that what is learnt of one code is learnt of its neighbours.

Twenty thousand free rows see a few tokens each in a short run, and say nothing for as long; a network of the codebook
says something of every code after its first steps.

Letters: V codes, K codebook dimensions, E LM width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class CodeRows(nn.Module):
    """Several tables (V, E) from code vectors (V, K): two hidden layers that all tables share, a last one for each.

    For codes that point everywhere alike, a table begins around the mean of its start rows and as spread as they are.
    """

    def __init__(self, codebook_dim: int, hidden: int, starts: Sequence[Tensor]) -> None:
        """`starts` (V, E): the rows that each table would begin with if its rows were free."""
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(codebook_dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.tables = nn.ModuleList(nn.Linear(hidden, start.shape[1]) for start in starts)
        with torch.no_grad():
            directions = functional.normalize(torch.randn(1024, codebook_dim), dim=-1)
            features = self.shared(_inputs(directions))
            for table, start in zip(self.tables, starts, strict=True):
                assert isinstance(table, nn.Linear)
                mean = start.float().mean(dim=0)
                drawn = table(features)
                # Around its own mean over codes, so that the start's mean is what is left.
                table.weight *= (start.float() - mean).std() / (drawn - drawn.mean(dim=0)).std().clamp_min(1e-6)
                table.bias.copy_(mean - (features @ table.weight.t()).mean(dim=0))

    def forward(self, codebook: Tensor) -> list[Tensor]:
        """The tables (V, E) of a codebook (V, K); only the vectors' directions count."""
        features = self.shared(_inputs(functional.normalize(codebook.float(), dim=-1)))
        return [table(features) for table in self.tables]


def _inputs(directions: Tensor) -> Tensor:
    """Unit vectors (V, K) brought to unit variance."""
    return directions * directions.shape[1] ** 0.5
