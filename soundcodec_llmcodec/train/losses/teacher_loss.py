"""A frozen speech encoder behind the decoder: what it hears in the decoded wave should be what it hears in the target.

Letters: B batch, S samples, F frames, L layers taken, W the encoder's width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.nn.semantic import semantic_encoder
from soundcodec_llmcodec.teachers import load_teacher


class TeacherLoss(nn.Module):
    """L1 between the states of some of the teacher's layers, each frame's brought to zero mean and unit variance.

    A mean over frames, layers and widths, and so over clips. The teacher has no parameter that trains, and is in no
    optimizer and no checkpoint.
    """

    def __init__(self, config: SemanticConfig, codec: CodecConfig) -> None:
        super().__init__()
        self.encoder = semantic_encoder(config, codec)
        self.padding = codec.stft_padding
        self.teacher_hash = load_teacher(self.encoder)
        self.requires_grad_(False)

    def forward(self, target: Tensor, estimate: Tensor) -> Tensor:
        """Waves (B, F * hop) to a scalar; the gradient goes to the estimate alone."""
        with torch.no_grad():
            target_states = self.states(target)
        return functional.l1_loss(self.states(estimate), target_states)

    def states(self, waves: Tensor) -> Tensor:
        """Waves (B, F * hop) to states (B, F, L * W)."""
        padded: Tensor = self.encoder(functional.pad(waves.float(), (self.padding, self.padding), mode="reflect"))
        return padded
