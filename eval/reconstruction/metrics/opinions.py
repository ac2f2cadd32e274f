"""What metrics share that predict an opinion of the estimate without looking at its reference."""

from __future__ import annotations

import numpy as np

from eval.harness.metric import Signal
from eval.harness.score import Score

RATE = 16_000
SHORTEST_S = 0.5


def unusable(estimate: Signal) -> Score | None:
    """The reason why nothing can be predicted, if so."""
    if estimate.is_silent:
        return Score(reason="the estimate is silent")
    if estimate.seconds < SHORTEST_S:
        return Score(reason=f"{estimate.seconds:.3g} s are too short: at least {SHORTEST_S:g} s are needed")
    return None


def full_scale(estimate: Signal) -> np.ndarray:
    """The samples float32 (S,) at RATE, cut to full scale, beyond which predictors refuse them."""
    return np.clip(estimate.at(RATE), -1.0, 1.0)
