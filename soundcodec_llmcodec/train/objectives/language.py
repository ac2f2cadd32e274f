"""The language-model objectives together: what the frozen LLM reads, and the losses on its states.

Letters: B batch, F frames, V codes, E LM width, L LM positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.code_embeddings import CodeRows
from soundcodec_llmcodec.nn.quantizer import FactorizedQuantizer, Quantized
from soundcodec_llmcodec.train.objectives.alignment import SemanticAlignment, text_keys
from soundcodec_llmcodec.train.objectives.bridge import Bridge
from soundcodec_llmcodec.train.objectives.future_tokens import FutureTokenHeads
from soundcodec_llmcodec.train.objectives.language_config import LanguageConfig
from soundcodec_llmcodec.train.objectives.soft_targets import soft_targets

_ON_STATES = ("future_tokens", "alignment", "contrast")  # the losses that need the LLM's states


class FrozenLM(Protocol):
    """What the objectives need of an LLM: `lm.backbone.Backbone` is one."""

    @property
    def width(self) -> int: ...

    @property
    def n_layers(self) -> int: ...

    @property
    def bos_id(self) -> int | None: ...

    def embed_text(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, mask (B, L) and embeddings (B, L, E) of texts, padded on the right."""
        ...

    def embed_ids(self, ids: Tensor) -> Tensor:
        """Embeddings (..., E) of ids."""
        ...

    def hidden_states(self, inputs_embeds: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Hidden states (B, L, E) of every layer, embeddings first; gradients flow to the inputs alone."""
        ...


@dataclass(frozen=True)
class Start:
    """What an LLM gives the objectives to begin with: rows (V, E) for the audio tokens, in and out, and its depth."""

    embeddings: Tensor
    head: Tensor
    depth: int


@dataclass(frozen=True)
class LanguageInputs:
    """What the objectives look at of a batch: its quantized features, the texts of its clips, and the step."""

    quantized: Quantized
    texts: Sequence[str | None]
    step: int


class LanguageObjectives(nn.Module):
    """Audio embeddings, bridge, future-token heads and alignment: all that trains beside the codec for an LLM's
    sake."""

    def __init__(self, config: LanguageConfig, codec: CodecConfig, start: Start) -> None:
        super().__init__()
        embeddings, head = start.embeddings, start.head
        self.config = config
        self.shape = (int(embeddings.shape[0]), int(embeddings.shape[1]))  # (V, E)
        free = config.rows == "free"
        self.audio_embeddings = nn.Parameter(embeddings.detach().clone().float()) if free else None
        self.network = (
            None
            if free
            else CodeRows(codec.codebook_dim, config.row_hidden, (embeddings, *[head] * config.future_heads))
        )
        self.bridge = Bridge(config.bridge, codec)
        self.heads = FutureTokenHeads(self.shape[1], codec.codebook_size, config.future_heads, head, own=free)
        self.alignment = SemanticAlignment(config.alignment, start.depth, embeddings.shape[1])

    def forward(
        self,
        lm: FrozenLM,
        quantizer: FactorizedQuantizer,
        inputs: LanguageInputs,
        weights: Mapping[str, float],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Unweighted losses by name for those with a weight, and what is worth watching."""
        read = self.config.clips_read(len(inputs.texts))
        inputs = replace(inputs, quantized=inputs.quantized.rows(read), texts=inputs.texts[:read])
        embeddings, head_rows = self.tables(quantizer.codebook)
        bridged = self.bridge(inputs.quantized, quantizer, embeddings, inputs.step, generator)
        values = {"bridge": bridged.cross_entropy, "bridge_agreement": bridged.agreement}
        if not any(weights.get(name, 0.0) > 0 for name in _ON_STATES):
            return values
        states, mask, bos = self._read(lm, bridged.inputs)
        if weights.get("future_tokens", 0.0) > 0:
            soft = None
            if self.config.targets == "encoder":
                soft = soft_targets(inputs.quantized, quantizer, self.config.target_temperature)
            predicted = self.heads(states[-1], inputs.quantized.codes[:, 0], bos=bos, rows=head_rows, soft=soft)
            values["future_tokens"] = predicted.loss
            values["next_token_accuracy"] = predicted.accuracy[0]
        if weights.get("alignment", 0.0) > 0 or weights.get("contrast", 0.0) > 0:
            values |= self._aligned(lm, states, mask, inputs.texts)
        return values

    def tables(self, codebook: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The codes' rows (V, E) at the LLM's input and at each head; no gradient goes to the codebook (V, K)."""
        if self.audio_embeddings is not None:
            return self.audio_embeddings, self.heads.rows
        assert self.network is not None
        first, *others = self.network(codebook.detach())
        return first, others

    def _read(self, lm: FrozenLM, inputs: Tensor) -> tuple[tuple[Tensor, ...], Tensor, bool]:
        """The LLM's states for audio inputs (B, F, E), its attention mask, and whether a BOS stands before them."""
        bos_id = lm.bos_id
        if bos_id is not None:
            first = lm.embed_ids(torch.full((len(inputs), 1), bos_id, device=inputs.device)).to(inputs.dtype)
            inputs = torch.cat((first, inputs), dim=1)
        mask = torch.ones(inputs.shape[:2], dtype=torch.long, device=inputs.device)
        return lm.hidden_states(inputs, mask), mask, bos_id is not None

    def _aligned(
        self, lm: FrozenLM, states: Sequence[Tensor], mask: Tensor, texts: Sequence[str | None]
    ) -> dict[str, Tensor]:
        has_text = torch.tensor([text is not None for text in texts], device=mask.device)
        with torch.no_grad():
            # An empty text keeps its row; it takes no part.
            cut = [" ".join((text or "-").split()[: self.config.longest_text or None]) for text in texts]
            _, text_mask, embedded = lm.embed_text(cut)
            text_states = lm.hidden_states(embedded, text_mask)
        keys = text_keys(texts).to(mask.device)
        aligned = self.alignment(states, mask, text_states, text_mask, has_text, keys)
        return {"alignment": aligned.cosine, "contrast": aligned.contrastive}
