"""Spectrograms as images, dark to bright in magma's colours."""

from __future__ import annotations

import numpy as np

from soundcodec_llmcodec.measures import spectrogram
from soundcodec_llmcodec.pages import png

FLOOR_DB = -80.0
LEVEL_RANGE_DB = (-100.0, -20.0)


def relative_image(powers: np.ndarray, loudest: float) -> bytes:
    """A PNG of powers (rows, columns): bright where equal to `loudest`, black at FLOOR_DB below it and less."""
    floor = 10 ** (FLOOR_DB / 10)
    shares_of_loudest = powers / loudest if loudest > 0 else np.zeros_like(powers)
    decibels = 10 * np.log10(np.maximum(shares_of_loudest, floor))
    return png.encode(_indices(decibels, FLOOR_DB, 0.0, png.LEVELS), png.palette())


def level_pixels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples (S,) as pixels uint8 (256, columns, 3): time to the right, 0 Hz at the bottom to rate / 2.

    Brightness is the level from -100 to -20 dB, where 0 dB is a full-scale sine: one scale for all, so that they
    compare.
    """
    return png.palette(256)[_indices(spectrogram.levels(samples, rate), *LEVEL_RANGE_DB, 256)]


def _indices(decibels: np.ndarray, floor: float, ceiling: float, n_colours: int) -> np.ndarray:
    """Decibels (rows, columns), the lowest frequency first, as a picture of palette indices, the highest on top."""
    share = np.clip((decibels[::-1] - floor) / (ceiling - floor), 0, 1)
    return np.rint(share * (n_colours - 1)).astype(np.uint8)
