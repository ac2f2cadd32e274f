"""Targets that are the encoder's choice, not its codes: what is unlikely costs the encoder, too.

The encoder's choice is a softmax over the cosines its quantizer compares. A model's log-probabilities weight it, and
the cross-entropy of the two is an estimate of the rate: it falls as the model learns and as the encoder prefers, among
codes that fit about as well, a likely one. Against the codes themselves, only the model would learn.

Letters: B batch, F frames, K codebook dimensions, V codes, N rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from soundcodec_llmcodec.nn.quantizer import FactorizedQuantizer, Quantized

# Of the softmax over cosines, which lie in [-1, 1].
TEMPERATURE = 0.03


@dataclass(frozen=True)
class SoftTargets:
    """Unit latents (B, F, K), whose gradient goes to the encoder, and the codebook's directions (V, K), which take
    none."""

    latents: Tensor
    directions: Tensor
    temperature: float = TEMPERATURE


def soft_targets(quantized: Quantized, quantizer: FactorizedQuantizer, temperature: float) -> SoftTargets:
    """The encoder's choice of each frame, from what `quantizer` gave; float32."""
    directions = functional.normalize(quantizer.codebook.detach().float(), dim=-1)
    latents = functional.normalize(quantized.latents[:, 0].float(), dim=-1)
    return SoftTargets(latents, directions, temperature)


def rate_rows(logits: Tensor, latents: Tensor, directions: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """(-q . log p (N,), the logits' log-sum-exp (N,)), q the softmax of latents (N, K), p that of logits (N, V)."""
    with torch.autocast(latents.device.type, enabled=False):
        chosen = (latents @ directions.t() / temperature).softmax(dim=1)
    normaliser = logits.logsumexp(dim=1)
    # The weights q sum to one, so -q . log p is the normaliser minus q . logits.
    return normaliser - torch.linalg.vecdot(chosen, logits), normaliser
