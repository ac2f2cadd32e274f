"""Codes to look at: a colour for every code, and the strip of a clip's tokens.

Letters: F frames, Q codebook levels, V codes, K codebook dimensions.
"""

from __future__ import annotations

import numpy as np

from soundcodec_llmcodec.pages import png

LIGHTNESS = (0.45, 0.88)
CHROMA = 0.13


def colours(codebook: np.ndarray) -> np.ndarray:
    """A colour uint8 (V, 3) for every code vector (V, K): codes that point in like directions look alike.

    The directions' first two principal components give the hue, the third gives the lightness, each by rank, so that
    the colours spread evenly over the codebook. They depend on the codebook alone: a code has one colour in every clip.
    """
    vectors = codebook.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.maximum(norms, 1e-12)
    centred = directions - directions.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :3]
    # An axis has no sign of its own: its largest part is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    # Rounded, so that codes which differ by rounding alone have one rank on every machine's sort.
    parts = np.round(centred @ axes, 9)
    ranks = [_rank(part) for part in parts.T]
    ranks += [np.full(len(vectors), 0.5)] * (3 - len(ranks))
    hue = np.arctan2(2 * ranks[1] - 1, 2 * ranks[0] - 1)
    low, high = LIGHTNESS
    return _srgb(low + (high - low) * ranks[2], CHROMA * np.cos(hue), CHROMA * np.sin(hue))


def strip(codes: np.ndarray, palettes: list[np.ndarray]) -> bytes:
    """A PNG of codes (Q, F) in their levels' colours: a column a frame, a row a level, the first level on top."""
    return png.encode_rgb(np.stack([palette[level] for level, palette in zip(codes, palettes, strict=True)]))


def _rank(values: np.ndarray) -> np.ndarray:
    """Where each value stands among all, 0 to 1."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(values))


def _srgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Oklab (Ottosson 2020) to sRGB uint8 (V, 3); what no screen shows is clipped."""
    cone = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_linear @ cone**3, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * curved.T).astype(np.uint8)
