"""How well tokens are predicted by counting: unigram and bigram perplexity over the audio vocabulary.

The models are those of `lm.ngrams`, which has their formulas. Letters: V codes, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from soundcodec_llmcodec.lm.ngrams import Ngrams, histories

__all__ = ["FOLDS", "Ngrams", "Predictability", "predictability"]

FOLDS = 2


@dataclass(frozen=True)
class Predictability:
    """Cross-entropies in bits a token over a number of tokens, each measured on tokens that were not counted."""

    tokens: int
    unigram_bits: float
    bigram_bits: float

    @property
    def unigram_perplexity(self) -> float:
        """2 to the unigram's bits; V for a uniform guess."""
        return 2.0**self.unigram_bits

    @property
    def bigram_perplexity(self) -> float:
        """2 to the bigram's bits."""
        return 2.0**self.bigram_bits

    def to_dict(self) -> dict[str, float]:
        """Plain numbers for a log."""
        return {
            "unigram_bits": self.unigram_bits,
            "bigram_bits": self.bigram_bits,
            "unigram_perplexity": self.unigram_perplexity,
            "bigram_perplexity": self.bigram_perplexity,
        }


def predictability(clips: Sequence[ArrayLike], codebook_size: int) -> Predictability | None:
    """Unigram and bigram cross-entropy of clips' codes, each a sequence (N,) of numbers in [0, V).

    Every second clip is one half. Each half is predicted by counts of the other, so nothing is counted on what it
    measures. None where fewer than two clips have codes. Raises ValueError for codes out of range or another shape.
    """
    arrays = [_checked(index, clip, codebook_size) for index, clip in enumerate(clips)]
    arrays = [array for array in arrays if array.size]
    if len(arrays) < FOLDS:
        return None
    bits = np.zeros(2)
    for fold in range(FOLDS):
        counts = Ngrams.count([array for i, array in enumerate(arrays) if i % FOLDS != fold], codebook_size)
        held_out = arrays[fold::FOLDS]
        codes = np.concatenate(held_out)
        bits[0] -= np.log2(counts.unigram(codes)).sum()
        bits[1] -= np.log2(counts.bigram(histories(held_out, codebook_size, 2), codes)).sum()
    tokens = sum(array.size for array in arrays)
    return Predictability(tokens, float(bits[0] / tokens), float(bits[1] / tokens))


def _checked(index: int, clip: ArrayLike, codebook_size: int) -> np.ndarray:
    array = np.asarray(clip)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"clip {index}: expected whole numbers (N,), got {array.dtype} of shape {array.shape}")
    array = array.astype(np.int64)
    if array.size and not 0 <= array.min() <= array.max() < codebook_size:
        wrong = array[(array < 0) | (array >= codebook_size)][0]
        raise ValueError(f"clip {index} holds the code {wrong}, which is not in [0, {codebook_size})")
    return array
