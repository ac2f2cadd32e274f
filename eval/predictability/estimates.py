"""What scores come to: nats and bits a token and a second, with intervals over clips.

Letters: C clips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eval.harness.statistics import bootstrap
from eval.predictability.predictors import Scored
from eval.predictability.token_sets import TokenSet
from soundcodec_llmcodec.lm.scores import TokenScores


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval, whose ends are None for fewer than two clips."""

    mean: float
    low: float | None
    high: float | None

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(self.mean * factor, _each(self.low, factor), _each(self.high, factor))

    def exp(self) -> Estimate:
        """The perplexity of nats a token."""
        low, high = (None if end is None else math.exp(end) for end in (self.low, self.high))
        return Estimate(math.exp(self.mean), low, high)


@dataclass(frozen=True, eq=False)
class PredictabilityEstimates:
    """A model's figures for a codec's tokens: `audio_nats` a token over the audio vocabulary, `full_nats` over all that
    the model knows, `bits_per_s` of audio (over the audio vocabulary), and the share of the unigram's bits `explained`.

    By clip, float64 (C,): nats over either vocabulary and the number of scored tokens.
    """

    codec: str
    scored: Scored
    audio_nats: Estimate
    full_nats: Estimate
    bits_per_s: Estimate
    explained: Estimate
    n_clips: int
    n_tokens: int
    clip_audio: np.ndarray
    clip_full: np.ndarray
    clip_tokens: np.ndarray

    @property
    def bits(self) -> Estimate:
        """Bits a token over the audio vocabulary."""
        return self.audio_nats.times(1 / math.log(2))


def measured(scored: Scored, unigram: Scored, tokens: TokenSet) -> PredictabilityEstimates:
    """A model's figures. The unigram's nats are of the same tokens: a model that does not score a clip's first token is
    compared without it. Raises ValueError where no token was scored."""
    audio, full, counts = (np.array(column) for column in zip(*map(_sums, scored.scores), strict=True))
    reference = np.array(
        [
            unigram_clip.audio_nll[len(unigram_clip.audio_nll) - len(other.audio_nll) :].sum()
            for unigram_clip, other in zip(unigram.scores, scored.scores, strict=True)
        ]
    )
    used = counts > 0
    if not used.any():
        raise ValueError(f"{scored.name} scored no token: without a prefix, clips of one token have nothing to score")
    a, f, n, r = audio[used], full[used], counts[used], reference[used]
    audio_nats = _weighted(a / n, n)
    unexplained = _weighted(a / r, r)
    # The smaller the share of the bits that are left, the larger the explained one.
    ends = (_flipped(unexplained.high), _flipped(unexplained.low))
    return PredictabilityEstimates(
        codec=tokens.label,
        scored=scored,
        audio_nats=audio_nats,
        full_nats=_weighted(f / n, n),
        bits_per_s=audio_nats.times(tokens.tokens_per_s / math.log(2)),
        explained=Estimate(1 - unexplained.mean, *ends),
        n_clips=int(used.sum()),
        n_tokens=int(n.sum()),
        clip_audio=audio,
        clip_full=full,
        clip_tokens=counts,
    )


def _sums(scores: TokenScores) -> tuple[float, float, int]:
    return float(scores.audio_nll.sum()), float(scores.full_nll.sum()), len(scores.audio_nll)


def _weighted(values: np.ndarray, weights: np.ndarray) -> Estimate:
    low, high = bootstrap(values, weights) if len(values) > 1 else (None, None)
    return Estimate(float(np.average(values, weights=weights)), low, high)


def _each(end: float | None, factor: float) -> float | None:
    return None if end is None else end * factor


def _flipped(end: float | None) -> float | None:
    return None if end is None else 1 - end
