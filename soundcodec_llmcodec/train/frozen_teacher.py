"""A frozen speech encoder in training: behind the decoder, or for what the codebook's features are to hold.

Letters: B batch, S samples, F frames, L layers taken, W the encoder's width.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.nn.semantic import semantic_encoder
from soundcodec_llmcodec.teachers import load_teacher


class FrozenTeacher(nn.Module):
    """The states of some of a teacher's layers, each frame's brought to zero mean and unit variance.

    It has no parameter that trains, and is in no optimizer and no checkpoint.
    """

    def __init__(self, config: SemanticConfig, codec: CodecConfig) -> None:
        super().__init__()
        self.encoder = semantic_encoder(config, codec)
        self.padding = codec.stft_padding
        self.teacher_hash = load_teacher(self.encoder)
        self.requires_grad_(False)

    def states(self, waves: Tensor) -> Tensor:
        """Waves (B, F * hop) to states (B, F, L * W); gradients reach the waves."""
        states: Tensor = self.encoder(functional.pad(waves.float(), (self.padding, self.padding), mode="reflect"))
        return states
