"""Which codes tokens use, and how evenly: counts and entropy.

Letters: Q codebook levels, F frames, N tokens, V codes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CodeUse:
    """Of a number of tokens: distinct codes, summed over levels, and the entropy of their shares in bits a token, the
    mean over levels."""

    tokens: int
    codes: int
    entropy_bits: float

    @property
    def distinct_share(self) -> float:
        """Distinct codes as a share of the tokens: 1 when none comes twice."""
        return self.codes / self.tokens

    @property
    def perplexity(self) -> float:
        """2 to the entropy: the size of an evenly used codebook of the same entropy."""
        return 2.0**self.entropy_bits

    @classmethod
    def of(cls, codes: np.ndarray) -> CodeUse:
        """Use of codes (Q, F), at least one."""
        return cls.of_counts([np.unique(level, return_counts=True)[1] for level in codes])

    @classmethod
    def of_counts(cls, levels: Sequence[np.ndarray | Sequence[int]]) -> CodeUse:
        """Use by how often each code is there, in any order, a row (V,) for each level."""
        return cls(
            tokens=sum(int(np.sum(counts)) for counts in levels),
            codes=sum(int(np.count_nonzero(counts)) for counts in levels),
            entropy_bits=math.fsum(entropy_bits(counts) for counts in levels) / len(levels),
        )


def entropy_bits(weights: np.ndarray | Sequence[int]) -> float:
    """−Σ p log2 p of counts or shares (V,), which need not add up to 1, whatever their order."""
    sorted_weights = np.sort(np.asarray(weights))
    sorted_weights = sorted_weights[sorted_weights > 0].astype(np.float64)
    shares = sorted_weights / sorted_weights.sum()
    # Adding 0.0 turns the -0.0 of a single code into 0.0.
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def codes_used(clips: Iterable[np.ndarray]) -> int:
    """Distinct codes in clips of tokens (N,), all of one level."""
    arrays = list(clips)
    return len(np.unique(np.concatenate(arrays))) if arrays else 0
