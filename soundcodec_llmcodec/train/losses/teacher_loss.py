"""A frozen speech encoder behind the decoder: what it hears in the decoded wave should be what it hears in the target.

Letters: B batch, F frames.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from soundcodec_llmcodec.train.frozen_teacher import FrozenTeacher


class TeacherLoss(FrozenTeacher):
    """L1 between the teacher's states of two waves: a mean over frames, layers and widths, and so over clips."""

    def forward(self, target: Tensor, estimate: Tensor) -> Tensor:
        """Waves (B, F * hop) to a scalar; the gradient goes to the estimate alone."""
        with torch.no_grad():
            target_states = self.states(target)
        return functional.l1_loss(self.states(estimate), target_states)
