"""A frozen speech encoder beside the acoustic features, and the layer that joins it to them.

Letters: B batch, F frames, D features, W width, N n_fft, L layers taken.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError, SemanticConfig
from soundcodec_llmcodec.nn.absent_encoder import AbsentEncoder
from soundcodec_llmcodec.nn.hama_encoder import HamaEncoder
from soundcodec_llmcodec.nn.linear import linear
from soundcodec_llmcodec.nn.semantic_encoder import SemanticEncoder
from soundcodec_llmcodec.nn.transformers_encoder import TransformersEncoder
from soundcodec_llmcodec.nn.whisper_encoder import WhisperEncoder
from soundcodec_llmcodec.teacher_sizes import Family

_ENCODERS: dict[Family, type[WhisperEncoder | HamaEncoder | TransformersEncoder]] = {
    "whisper": WhisperEncoder,
    "hama": HamaEncoder,
    "transformers": TransformersEncoder,
}


def semantic_encoder(config: SemanticConfig, codec: CodecConfig) -> SemanticEncoder:
    """The network of a config's teacher, frozen and in eval mode, with weights that are yet to be loaded."""
    return _ENCODERS[config.family](config, codec).eval().requires_grad_(False)


class SemanticBranch(nn.Module):
    """The frozen encoder and, where its states are added to the acoustic encoder's input, the layer that brings them to
    the codec's width."""

    encoder: SemanticEncoder | AbsentEncoder

    def __init__(self, config: SemanticConfig, codec: CodecConfig, absent: AbsentEncoder | None = None) -> None:
        super().__init__()
        self.encoder = semantic_encoder(config, codec) if absent is None else absent
        self.out = nn.Linear(len(config.layers) * config.width, codec.hidden_size) if config.join is None else None

    def states(self, padded: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, (F - 1) * hop + N) samples to states (B, F, L * W); no gradient reaches the encoder."""
        exact = not torch.is_grad_enabled()
        with torch.no_grad():
            states: Tensor = self.encoder(padded, frame_mask, exact)
        return states

    def added(self, states: Tensor) -> Tensor:
        """States (B, F, L * W) to what is added to the acoustic encoder's input (B, F, D)."""
        if self.out is None:
            raise ConfigError("this semantic branch joins before the codebook: nothing is added to the encoder's input")
        return linear(states, self.out.weight, self.out.bias)
