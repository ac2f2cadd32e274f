"""Semantic alignment: what a clip's tokens make of a frozen language model should be what its transcript makes of it.

Two losses over the same layers, as LLM-Codec has them: the cosine between a clip's and its text's state, and a
contrastive loss against other texts, of the batch and of a bank of earlier ones. Each layer has texts of its own to
compare with: a text's state differs more between layers than between texts, so negatives from another layer would teach
nothing.

Letters: B batch, L LM positions, E LM width, N layers, M bank slots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.setting import setting


@dataclass(frozen=True)
class AlignmentConfig:
    """Two losses between a clip's states and its text's, over some of the LLM's layers."""

    bank: int = setting(512, "texts that are remembered as negatives")
    logit_scale: float = setting(5.0, "factor of cosines in the contrastive loss")
    label_smoothing: float = setting(0.1, "label smoothing of the contrastive loss")
    first_layer: float = setting(1 / 3, "share of the model's depth after which layers take part")
    last_layer: float = setting(0.8, "share of the model's depth up to which they do")

    def __post_init__(self) -> None:
        if self.bank < 1:
            raise TrainConfigError(f"the alignment's bank holds at least one text, got {self.bank}")
        if not 0 <= self.label_smoothing < 1:
            raise TrainConfigError(f"the alignment's label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        if not self.logit_scale > 0:
            raise TrainConfigError(f"the alignment's logit_scale must be above zero, got {self.logit_scale}")
        if not 0 <= self.first_layer < self.last_layer <= 1:
            raise TrainConfigError(
                f"the alignment's layers run from first_layer to last_layer, shares of the depth, "
                f"got {self.first_layer} to {self.last_layer}"
            )

    def layers(self, depth: int) -> tuple[int, ...]:
        """Indices into the depth + 1 hidden states (0: the embeddings) of the layers in use, at least one."""
        # A third of 36 is 12, also where floating point makes it 11.999.
        first, last = (int(share * depth + 1e-6) for share in (self.first_layer, self.last_layer))
        return tuple(range(first + 1, max(last, first + 1) + 1))


@dataclass(frozen=True)
class Alignment:
    """cosine: 1 - cosine of audio and text; contrastive: in nats; both means over layers and the n clips with text."""

    cosine: Tensor
    contrastive: Tensor
    n: Tensor


def text_keys(texts: Sequence[str | None]) -> Tensor:
    """(B,) int64, equal for equal texts (case and spacing aside); 0 for None and for texts without a word."""
    keys = []
    for text in texts:
        words = " ".join((text or "").casefold().split())
        digest = hashlib.sha256(words.encode()).digest()[:8]
        keys.append(int.from_bytes(digest, "big", signed=True) if words else 0)
    return torch.tensor(keys, dtype=torch.int64)


def last_valid(states: Tensor, mask: Tensor) -> Tensor:
    """The states (B, L, E) at each row's last position inside `mask` (B, L): (B, E).

    That position is the last one with a true mask, wherever padding lies: left, right or both. A row without any gives
    its position 0.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask.bool(), positions, 0).amax(dim=1)
    return states[torch.arange(len(states), device=states.device), last.to(states.device)]


class SemanticAlignment(nn.Module):
    """The two losses and the bank of texts, which is part of the state dict.

    The bank is first in, first out, one slot a clip; texts join after the losses are taken, in training mode only.
    """

    bank: Tensor
    keys: Tensor
    filled: Tensor
    slot: Tensor

    def __init__(self, config: AlignmentConfig, depth: int, width: int) -> None:
        """For a model of `depth` layers and `width` features."""
        super().__init__()
        self.config, self.depth = config, depth
        self.layers = config.layers(depth)
        self.register_buffer("bank", torch.zeros(len(self.layers), config.bank, width))
        self.register_buffer("keys", torch.zeros(config.bank, dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("slot", torch.zeros((), dtype=torch.int64))

    def forward(
        self,
        audio_states: Sequence[Tensor],
        audio_mask: Tensor,
        text_states: Sequence[Tensor],
        text_mask: Tensor,
        has_text: Tensor,
        keys: Tensor,
    ) -> Alignment:
        """The losses of hidden states (depth + 1 of (B, L, E) each; audio and text may differ in L).

        Row i of audio and text is one clip and its transcript; rows outside `has_text` (B,) may hold anything in their
        text. `keys` (B,) from `text_keys`: texts with equal keys are never each other's negatives, in the batch or from
        the bank, and count as no positives either. Gradients go to `audio_states` alone; with no text at all both
        losses are 0, and so are their gradients.
        """
        for name, states in (("audio", audio_states), ("text", text_states)):
            if len(states) != self.depth + 1:
                raise ValueError(f"{name} states should be {self.depth + 1} (embeddings and layers), got {len(states)}")
        part = has_text.bool() & text_mask.bool().any(dim=1) & audio_mask.bool().any(dim=1)
        audio = torch.stack([last_valid(audio_states[i], audio_mask) for i in self.layers]).float()
        text = torch.stack([last_valid(text_states[i].detach(), text_mask) for i in self.layers]).float()
        # Rows without text are out of every sum; zeros keep whatever they hold from spoiling it.
        audio = functional.normalize(torch.where(part[:, None], audio, 0.0), dim=-1)
        text = functional.normalize(torch.where(part[:, None], text, 0.0), dim=-1)
        n = part.sum()
        cosine = torch.where(part, 1 - (audio * text).sum(dim=-1), 0.0)
        contrastive = torch.where(part, self._contrast(audio, text, part, keys), 0.0)
        if self.training:
            self._remember(text[:, part], keys[part])
        count = len(self.layers) * n.clamp_min(1)
        return Alignment(cosine.sum() / count, contrastive.sum() / count, n)

    def _contrast(self, audio: Tensor, text: Tensor, part: Tensor, keys: Tensor) -> Tensor:
        """(N, B) smoothed cross-entropies of clips (N, B, E) choosing their own text among those to be told from."""
        itself = torch.eye(len(keys), dtype=torch.bool, device=keys.device)
        in_batch = itself | (part & (keys[:, None] != keys))
        filled = torch.arange(self.config.bank, device=keys.device) < self.filled
        allowed = torch.cat((in_batch, filled & (keys[:, None] != self.keys)), dim=1)
        logits = self.config.logit_scale * (audio @ torch.cat((text, self.bank), dim=1).transpose(1, 2))
        surprise = logits.masked_fill(~allowed, -torch.inf).logsumexp(dim=2, keepdim=True) - logits
        own = surprise.diagonal(dim1=1, dim2=2)
        spread = torch.where(allowed, surprise, 0.0).sum(dim=2) / allowed.sum(dim=1)
        return (1 - self.config.label_smoothing) * own + self.config.label_smoothing * spread

    @torch.no_grad()
    def _remember(self, text: Tensor, keys: Tensor) -> None:
        """Put texts (N, n, E) with keys (n,) into the next slots; of more than the bank holds, the last."""
        size = self.config.bank
        text, keys = text[:, -size:], keys[-size:]
        slots = (self.slot + torch.arange(len(keys), device=keys.device)) % size
        self.bank[:, slots] = text.to(self.bank.dtype)
        self.keys[slots] = keys
        self.slot.copy_((self.slot + len(keys)) % size)
        self.filled.copy_((self.filled + len(keys)).clamp_max(size))
