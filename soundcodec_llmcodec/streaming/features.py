"""The encoder's features as samples come: spectra, conformer and semantic branch, each waiting for the others.

Letters: S samples, F frames, D features, H width of the semantic encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.streaming.exact import overlapping_frames
from soundcodec_llmcodec.streaming.layers import (
    ConformerStream,
    SemanticJoinStream,
    SemanticStream,
    layer_lookahead,
)


def encoder_lookahead(config: CodecConfig) -> int:
    """Frames after a frame that can change its codes, attention being bounded."""
    acoustic = config.encoder_layers * layer_lookahead(config)
    if config.semantic is None:
        return acoustic + overlapping_frames(config)
    # The first frame of a block waits for the others and for the context behind them.
    semantic = config.semantic.block_frames - 1 + config.semantic.context_frames
    if config.semantic.join is None:
        return acoustic + semantic + overlapping_frames(config)
    return max(acoustic, semantic + config.semantic.join.reach) + overlapping_frames(config)


class FeatureStream:
    """Padded samples to the features before the codebook: what the whole clip's encoder gives."""

    def __init__(self, model: CodecModel) -> None:
        config, self.tokenizer = model.config, model.tokenizer
        branch, join = self.tokenizer.semantic, self.tokenizer.join
        self.conformer = ConformerStream(self.tokenizer.conformer)
        self.semantic = None if branch is None else SemanticStream(branch)
        joins = None if config.semantic is None else config.semantic.join
        self.join = None if join is None or joins is None else SemanticJoinStream(join, joins.reach)
        # Of frames that wait for the other branch: acoustic features (1, F, D), and semantic ones, (1, F, D) or, where
        # they are joined behind the conformer, (1, F, H).
        self.acoustic = self.tokenizer.stft_head.inp.weight.new_zeros(1, 0, config.hidden_size)
        width = config.hidden_size if join is None else join.semantic.in_features
        self.waiting = self.acoustic.new_zeros(1, 0, width)

    def push(self, framed: Tensor | None, last: bool) -> Tensor:
        """Padded samples (1, S) of new frames, None for no frame, to the features that are ready, (1, F, D)."""
        acoustic = self.acoustic[:, :0] if framed is None else self.tokenizer.stft_head(framed)
        if self.semantic is None or self.tokenizer.semantic is None:
            return self.conformer.push(acoustic, last)
        states = self.semantic.push(framed, last)
        if self.join is None:
            acoustic, added = self._both(acoustic, self.tokenizer.semantic.added(states))
            return self.conformer.push(acoustic + added, last)
        acoustic, semantic = self._both(self.conformer.push(acoustic, last), self.join.push(states, last))
        return self.join.join.joined(acoustic, semantic)

    def _both(self, acoustic: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
        """New acoustic and semantic features behind those that wait: of each those of frames that have both."""
        acoustic = torch.cat((self.acoustic, acoustic), dim=1)
        semantic = torch.cat((self.waiting, semantic), dim=1)
        count = min(acoustic.shape[1], semantic.shape[1])
        self.acoustic, self.waiting = acoustic[:, count:], semantic[:, count:]
        return acoustic[:, :count], semantic[:, :count]
