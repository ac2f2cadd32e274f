"""What a measurement of representations asks for: a clip's vectors, frame by frame.

Letters: S samples, F frames, D features.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

# Hz of the samples that every representation takes.
SAMPLE_RATE = 16_000


class Representation(Protocol):
    """Vectors of clips. Frame f stands for the samples from f / frame_rate to (f + 1) / frame_rate seconds."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def frame_rate(self) -> float:
        """Frames a second."""

    @property
    def dimensions(self) -> int:
        """D, features of a frame."""

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Mono float32 samples (S,) at SAMPLE_RATE, to vectors float32 (F, D), F = ceil(S / SAMPLE_RATE * frame_rate).

        The same clip gives the same vectors, whatever came before it.
        """

    def facts(self) -> dict[str, Any]:
        """What decides the vectors, JSON-ready: `kind`, the weights' hash, levels or layers."""


def checked_samples(samples: np.ndarray) -> np.ndarray:
    """The samples (S,) as float32. Raises ValueError for another shape, none at all, or numbers that are not finite."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not len(samples):
        raise ValueError(f"expected mono samples (S,) with S of at least 1, got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{int((~np.isfinite(samples)).sum())} of {len(samples)} samples are NaN or infinite")
    return samples
