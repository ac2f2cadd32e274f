"""A finished pair: both members as 16-bit samples of equal number, and what they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soundcodec_llmcodec.measures.loudness import gain_to

RATE = 16_000
# First halves are brought to this loudness, lower where a peak would not fit.
LEVEL = -26.0
PEAK = 0.97


@dataclass(frozen=True, eq=False)
class BuiltPair:
    """A pair of `part`: int16 (S,) at RATE. `cut` is the sample around which the cross-fade of `fade` samples lies;
    `about` is JSON-ready."""

    part: str
    positive: np.ndarray
    negative: np.ndarray
    cut: int
    fade: int
    about: Mapping[str, Any] = field(default_factory=dict)


def finished(
    part: str, positive: np.ndarray, negative: np.ndarray, cut: int, fade: int, about: Mapping[str, Any]
) -> BuiltPair:
    """The pair of two float members (S,), both times one gain that sets the first half's loudness. Raises ValueError
    for members of unequal number of samples."""
    if len(positive) != len(negative):
        raise ValueError(f"the members of a {part} pair have {len(positive)} and {len(negative)} samples")
    peak = max(float(np.abs(positive).max()), float(np.abs(negative).max()))
    gain = min(gain_to(positive[: cut - fade // 2], RATE, LEVEL), PEAK / peak)
    facts = {"cut_sample": cut, "fade_samples": fade, "n_samples": len(positive), "gain_db": db(gain), **about}
    return BuiltPair(part, _sixteen_bit(gain * positive), _sixteen_bit(gain * negative), cut, fade, facts)


def db(gain: float) -> float:
    """A factor in dB, to 1e-3."""
    return round(20 * float(np.log10(gain)), 3)


def _sixteen_bit(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
