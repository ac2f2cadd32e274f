"""Counted models of tokens: unigrams, bigrams and trigrams, interpolated by absolute discounting.

Letters: N tokens, V vocabulary. Each order is interpolated with the one below it, the unigram with the uniform
distribution over all V tokens, so every token is possible (Ney, Essen and Kneser 1994):

    p(w)         = max(c(w) - d1, 0) / N               + d1 T         / N         * 1 / V
    p(w | h)     = max(c(h, w) - d2, 0) / c(h)         + d2 T(h)      / c(h)      * p(w)
    p(w | h2 h1) = max(c(h2, h1, w) - d3, 0) / c(h2, h1) + d3 T(h2, h1) / c(h2, h1) * p(w | h1)

with T, T(h) and T(h2, h1) the distinct tokens seen at all and after a history; a history that was never seen leaves the
order below it. The start of a clip is a history of its own, and so are two of them. The discount of each order is Ney's
estimate n1 / (n1 + 2 n2) from the numbers of events seen once and twice, which are counted from 1 and 1/2 so that it is
in (0, 1). Where nearly everything was seen once, nearly all of the probability goes to the simpler model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from soundcodec_llmcodec.lm.choices import MAX_ORDER

# Keys of three tokens, the start of a clip among them, are 64-bit numbers.
MAX_VOCABULARY = 2_000_000


@dataclass(frozen=True, eq=False)
class Events:
    """How often tokens followed histories: `keys` h V + w in rising order, int64 (K,), and `counts`, int64 (K,)."""

    keys: np.ndarray
    counts: np.ndarray
    vocabulary_size: int

    @classmethod
    def count(cls, histories: np.ndarray, tokens: np.ndarray, vocabulary_size: int) -> Events:
        """Counts of tokens (N,) after histories (N,)."""
        keys, counts = np.unique(histories * vocabulary_size + tokens, return_counts=True)
        return cls(keys, counts, vocabulary_size)

    @cached_property
    def _histories(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The histories in rising order, the tokens seen after each, and the distinct ones among them."""
        histories, first, kinds = np.unique(self.keys // self.vocabulary_size, return_index=True, return_counts=True)
        return histories, np.add.reduceat(self.counts, first), kinds

    def refine(self, histories: np.ndarray, tokens: np.ndarray, simpler: np.ndarray) -> np.ndarray:
        """p(w | h) of tokens (N,) after histories (N,), given the `simpler` model's probabilities (N,)."""
        if not len(self.keys):
            return simpler
        discount = _discount(self.counts)
        counted, totals, kinds = self._histories
        at = np.searchsorted(counted, histories).clip(max=len(counted) - 1)
        is_counted = counted[at] == histories
        keys = histories * self.vocabulary_size + tokens
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        counts = np.where(self.keys[place] == keys, self.counts[place], 0)
        mixed = (np.maximum(counts - discount, 0) + discount * kinds[at] * simpler) / totals[at]
        return np.where(is_counted, mixed, simpler)


@dataclass(frozen=True, eq=False)
class Ngrams:
    """Counts in clips up to an order: `unigrams` int64 (V,), and events of two and of three tokens where the order has
    them. A history is h1, or h2 (V + 1) + h1, where V is the start of a clip."""

    unigrams: np.ndarray
    longer: tuple[Events, ...]

    @classmethod
    def count(cls, clips: Sequence[np.ndarray], vocabulary_size: int, order: int = 2) -> Ngrams:
        """Counts over clips, each whole numbers (N,) in [0, V). Raises ValueError for an order that is not 1 to 3."""
        if not 1 <= order <= MAX_ORDER:
            raise ValueError(f"expected an order of 1 to {MAX_ORDER}, got {order}")
        if vocabulary_size > MAX_VOCABULARY:
            raise ValueError(f"n-grams are counted of at most {MAX_VOCABULARY} tokens, got {vocabulary_size}")
        tokens = joined(clips)
        longer = [
            Events.count(histories(clips, vocabulary_size, n), tokens, vocabulary_size) for n in range(2, order + 1)
        ]
        return cls(np.bincount(tokens, minlength=vocabulary_size), tuple(longer))

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.unigrams)

    @property
    def order(self) -> int:
        """1 to 3."""
        return 1 + len(self.longer)

    def up_to(self, order: int) -> Ngrams:
        """The same counts up to a lower order. Raises ValueError for a higher one."""
        if not 1 <= order <= self.order:
            raise ValueError(f"these n-grams have orders 1 to {self.order}, not {order}")
        return Ngrams(self.unigrams, self.longer[: order - 1])

    def unigram(self, tokens: np.ndarray) -> np.ndarray:
        """p(w) of tokens (N,)."""
        total, kinds = self.unigrams.sum(), np.count_nonzero(self.unigrams)
        if not total:
            return np.full(len(tokens), 1 / self.vocabulary_size)
        discount = _discount(self.unigrams)
        discounted = np.maximum(self.unigrams[tokens] - discount, 0)
        return (discounted + discount * kinds / self.vocabulary_size) / total

    def bigram(self, before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """p(w | h) of tokens (N,) after `before` (N,), where V is the start of a clip."""
        return self._events(2).refine(before, tokens, self.unigram(tokens))

    def trigram(self, before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """p(w | h2 h1) of tokens (N,) after `before`, histories h2 (V + 1) + h1 (N,)."""
        simpler = self.bigram(before % (self.vocabulary_size + 1), tokens)
        return self._events(3).refine(before, tokens, simpler)

    def probabilities(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """The probability of each token of the joined clips by the highest order, float64 (N,)."""
        tokens = joined(clips)
        shares = self.unigram(tokens)
        for order, events in enumerate(self.longer, start=2):
            shares = events.refine(histories(clips, self.vocabulary_size, order), tokens, shares)
        return shares

    def _events(self, order: int) -> Events:
        if order > self.order:
            raise ValueError(f"these n-grams were counted up to order {self.order}, not {order}")
        return self.longer[order - 2]


def joined(clips: Sequence[np.ndarray]) -> np.ndarray:
    """The tokens of all clips in a row, int64 (N,)."""
    return np.concatenate(clips).astype(np.int64, copy=False) if clips else np.zeros(0, np.int64)


def histories(clips: Sequence[np.ndarray], vocabulary_size: int, order: int) -> np.ndarray:
    """What stands before each token of the joined clips, int64 (N,): h1 for order 2, h2 (V + 1) + h1 for order 3.

    V, the start, stands for whatever is missing before a clip.
    """
    tokens = joined(clips)
    lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
    position = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    codes_before = np.zeros(len(tokens), np.int64)
    for back in range(order - 1, 0, -1):
        earlier = np.where(position >= back, np.roll(tokens, back), vocabulary_size)
        codes_before = codes_before * (vocabulary_size + 1) + earlier
    return codes_before


def _discount(counts: np.ndarray) -> float:
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    return (once + 1) / (once + 1 + 2 * (twice + 0.5))
