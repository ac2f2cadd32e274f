"""Zeros after a clip, for codecs that take whole frames."""

from __future__ import annotations

import numpy as np


def padded_to_multiple(samples: np.ndarray, block: int, at_least: int = 0) -> np.ndarray:
    """Samples (S,) with at least `at_least` zeros after them, up to a whole number of blocks."""
    return np.pad(samples, (0, at_least + -(len(samples) + at_least) % block))
