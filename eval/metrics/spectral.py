"""The distance of two magnitude spectrograms that mel and stft share."""

from __future__ import annotations

import numpy as np

from eval.metrics.base import Score, Signal

FLOOR = 1e-5


def distance(reference: np.ndarray, estimate: np.ndarray) -> float:
    """L1 of log10(max(M, FLOOR) ** 2) plus L1 of M, each a mean over all bins; arrays of one shape."""
    log_reference, log_estimate = (2 * np.log10(np.maximum(m, FLOOR)) for m in (reference, estimate))
    logs = np.mean(np.abs(log_reference - log_estimate), dtype=np.float64)
    return float(logs + np.mean(np.abs(reference - estimate), dtype=np.float64))


def too_short(signal: Signal, largest_window: int) -> Score | None:
    """The reason for a clip that the largest window cannot be centred on."""
    if len(signal) > largest_window // 2:
        return None
    return Score(reason=f"{len(signal)} samples are too few: more than {largest_window // 2} are needed")
