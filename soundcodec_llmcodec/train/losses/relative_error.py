"""An error in units of the clip's size that no quiet clip can blow up."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_error(error: Tensor, size: Tensor, floor: float) -> Tensor:
    """r = error / max(size, floor) up to 1, and 1 + ln r above; shapes alike.

    The usual ratio where the error is smaller than the clip. Larger ones happen on nearly silent clips, where the ratio
    has no bound and would outweigh the rest of a batch; the logarithm keeps its value low and its slope in the error at
    most 1 / floor, without the dead zone of a clamp. The floor is an absolute size, not a share of the batch's mean:
    only so does a clip cost the same in every batch.
    """
    ratio = error / size.clamp_min(floor)
    return torch.where(ratio <= 1, ratio, 1 + ratio.clamp_min(1).log())
