"""Softmax attention written out: every graph format has these operations.

Letters: L queries, M keys, E head size.
"""

from __future__ import annotations

import torch
from torch import Tensor


def attend(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    """Softmax attention of (..., L, E) over (..., M, E), written out: every graph format has these operations.

    The products have three axes: those that broadcast further axes bind a traced program to its example's sizes.
    """
    lead, queries, keys = q.shape[:-2], q.shape[-2], k.shape[-2]
    scores = torch.bmm(
        (q * q.shape[-1] ** -0.5).reshape(-1, queries, q.shape[-1]),
        k.reshape(-1, keys, k.shape[-1]).transpose(1, 2),
    )
    weights = torch.where(allowed, scores.reshape(*lead, queries, keys), float("-inf")).softmax(dim=-1)
    mixed = torch.bmm(weights.reshape(-1, queries, keys), v.reshape(-1, keys, v.shape[-1]))
    return mixed.reshape(*lead, queries, v.shape[-1])
