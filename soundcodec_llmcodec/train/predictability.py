"""How well tokens are predicted by counting: unigram and bigram perplexity over the audio vocabulary.

Letters: V codes, N tokens. Both models are interpolated by absolute discounting (Ney, Essen and Kneser 1994), the
bigram with the unigram and the unigram with the uniform distribution over all V codes, so every token is possible:

    p(w)     = max(c(w) - d1, 0) / N      + d1 * T      / N      * 1 / V
    p(w | h) = max(c(h, w) - d2, 0) / c(h) + d2 * T(h) / c(h) * p(w)

with T and T(h) the distinct codes seen at all and after h; p(w | h) = p(w) after an h that was never seen. The start of
a clip is an h of its own. The discount of each model is Ney's estimate n1 / (n1 + 2 n2) from the numbers of events seen
once and twice, which are counted from 1 and 1/2 so that it is in (0, 1). Where nearly everything was seen once,
nearly all of the probability goes to the simpler model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

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


@dataclass(frozen=True)
class Ngrams:
    """Counts in clips: of each code (V,), and of pairs as sorted keys h V + w, where V is a start of a clip."""

    unigrams: np.ndarray
    pairs: np.ndarray
    pair_counts: np.ndarray

    @classmethod
    def count(cls, clips: Sequence[np.ndarray], codebook_size: int) -> Ngrams:
        """Counts over clips, each of shape (N,)."""
        codes = np.concatenate(clips) if clips else np.zeros(0, np.int64)
        pairs, counts = np.unique(_histories(clips, codebook_size) * codebook_size + codes, return_counts=True)
        return cls(np.bincount(codes, minlength=codebook_size), pairs, counts)

    @property
    def codebook_size(self) -> int:
        """V."""
        return len(self.unigrams)

    def unigram(self, codes: np.ndarray) -> np.ndarray:
        """p(w) of codes (N,)."""
        total, kinds = self.unigrams.sum(), np.count_nonzero(self.unigrams)
        if not total:
            return np.full(len(codes), 1 / self.codebook_size)
        discount = _discount(self.unigrams)
        seen = np.maximum(self.unigrams[codes] - discount, 0)
        return (seen + discount * kinds / self.codebook_size) / total

    def bigram(self, histories: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """p(w | h) of codes (N,) after histories (N,), where V is the start of a clip."""
        simpler = self.unigram(codes)
        if not len(self.pairs):
            return simpler
        discount = _discount(self.pair_counts)
        befores, size = self.pairs // self.codebook_size, self.codebook_size + 1
        kinds = np.bincount(befores, minlength=size)[histories]
        total = np.bincount(befores, self.pair_counts, minlength=size)[histories]
        keys = histories * self.codebook_size + codes
        place = np.searchsorted(self.pairs, keys).clip(max=len(self.pairs) - 1)
        counts = np.where(self.pairs[place] == keys, self.pair_counts[place], 0)
        divisor = np.maximum(total, 1)
        mixed = (np.maximum(counts - discount, 0) + discount * kinds * simpler) / divisor
        return np.where(total > 0, mixed, simpler)


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
        known = Ngrams.count([array for i, array in enumerate(arrays) if i % FOLDS != fold], codebook_size)
        unknown = arrays[fold::FOLDS]
        codes = np.concatenate(unknown)
        bits[0] -= np.log2(known.unigram(codes)).sum()
        bits[1] -= np.log2(known.bigram(_histories(unknown, codebook_size), codes)).sum()
    tokens = sum(array.size for array in arrays)
    return Predictability(tokens, float(bits[0] / tokens), float(bits[1] / tokens))


def _discount(counts: np.ndarray) -> float:
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    return (once + 1) / (once + 1 + 2 * (twice + 0.5))


def _histories(clips: Sequence[np.ndarray], start: int) -> np.ndarray:
    """What stands before each code of the joined clips; `start` before a clip's first."""
    parts = [np.concatenate(([start], clip[:-1])) for clip in clips]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _checked(index: int, clip: ArrayLike, codebook_size: int) -> np.ndarray:
    array = np.asarray(clip)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"clip {index}: expected whole numbers (N,), got {array.dtype} of shape {array.shape}")
    array = array.astype(np.int64)
    if array.size and not 0 <= array.min() <= array.max() < codebook_size:
        wrong = array[(array < 0) | (array >= codebook_size)][0]
        raise ValueError(f"clip {index} holds the code {wrong}, which is not in [0, {codebook_size})")
    return array
