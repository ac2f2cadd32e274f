"""What cells come to: one error within and one across speakers, with intervals over speakers and phones.

Cells are averaged as in libri-light and ZeroSpeech 2021: first over contexts (and X's speakers) for each pair (a, b)
and speaker of A and B, then over these speakers, then over ordered pairs of phones. Each step counts alike what it
averages, however many triplets there are.

Letters: N cells, W resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.abx.abx_cells import AbxCells
from eval.harness.statistics import RESAMPLES, SEED

_RESAMPLES_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class AbxEstimate:
    """An error from 0 to 1 (chance 0.5), None where no cell is there; its 95% interval where there are two speakers or
    more; how much it is of; and the error in each resample (W,), the same resamples for every representation."""

    error: float | None
    low: float | None
    high: float | None
    triplets: int
    cells: int
    pairs: int
    speakers: int
    draws: np.ndarray


@dataclass(frozen=True)
class AbxDifference:
    """A representation's error minus the baseline's, with its 95% interval over the same resamples."""

    mean: float
    low: float | None
    high: float | None


def estimate(cells: AbxCells, n_phones: int, n_speakers: int, resamples: int = RESAMPLES) -> AbxEstimate:
    """The error of cells. The interval resamples speakers and phones, each with all their cells, crossed: it is about
    other speakers and other phones (the pigeonhole bootstrap of Owen 2007). A resample without a pair is left out.
    """
    pairs = cells.a * n_phones + cells.b
    size = len(np.unique(pairs)), len(np.unique(np.append(cells.speaker, cells.x_speaker)))
    empty = np.zeros(0)
    if not len(cells.errors):
        return AbxEstimate(None, None, None, 0, 0, 0, 0, empty)
    steps = _Steps(cells, n_phones, n_speakers)
    error = float(steps.errors(np.ones((n_speakers, 1)), np.ones((n_phones, 1)))[0])
    counts = int(cells.triplets.sum()), len(cells.errors), *size
    if size[1] < 2:
        return AbxEstimate(error, None, None, *counts, empty)
    speakers, phones = _weights(n_speakers, resamples, SEED), _weights(n_phones, resamples, SEED + 1)
    batches = range(0, resamples, _RESAMPLES_AT_ONCE)
    parts = [slice(start, start + _RESAMPLES_AT_ONCE) for start in batches]
    draws = np.concatenate([steps.errors(speakers[:, part], phones[:, part]) for part in parts])
    low, high = np.nanpercentile(draws, (2.5, 97.5))
    return AbxEstimate(error, float(low), float(high), *counts, draws)


def difference(own: AbxEstimate, baseline: AbxEstimate) -> AbxDifference | None:
    """How much higher an error is than the baseline's of the same cells; None where one has none."""
    if own.error is None or baseline.error is None:
        return None
    mean = own.error - baseline.error
    if not len(own.draws):
        return AbxDifference(mean, None, None)
    low, high = np.nanpercentile(own.draws - baseline.draws, (2.5, 97.5))
    return AbxDifference(mean, float(low), float(high))


def pair_errors(cells: AbxCells, n_phones: int, n_speakers: int) -> dict[tuple[int, int], float]:
    """The error of each ordered pair of phones, averaged over contexts and speakers."""
    if not len(cells.errors):
        return {}
    steps = _Steps(cells, n_phones, n_speakers)
    errors = steps.pair_means(np.ones((n_speakers, 1)))[0][:, 0]
    return {
        (int(pair) // n_phones, int(pair) % n_phones): float(e) for pair, e in zip(steps.pairs, errors, strict=True)
    }


class _Steps:
    """The three means, with weights for speakers and phones, of many resamples together."""

    def __init__(self, cells: AbxCells, n_phones: int, n_speakers: int) -> None:
        pair = cells.a.astype(np.int64) * n_phones + cells.b
        groups, group = np.unique(pair * n_speakers + cells.speaker, return_inverse=True)
        # Cells of a group, by X's speaker; within a speaker they count as often as A's and B's does.
        place = group * n_speakers + cells.x_speaker
        shape = (len(groups), n_speakers)
        self.sums = np.bincount(place, cells.errors, shape[0] * shape[1]).reshape(shape)
        self.counts = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        self.speaker, group_pairs = groups % n_speakers, groups // n_speakers
        own = np.zeros(len(groups), bool)
        own[group] = cells.is_within
        self.within = own[:, None]
        # Groups are sorted, so those of a pair are a run.
        self.pair_starts = np.flatnonzero(np.append(True, group_pairs[1:] != group_pairs[:-1]))
        self.pairs = group_pairs[self.pair_starts]
        self.a, self.b = self.pairs // n_phones, self.pairs % n_phones

    def errors(self, speakers: np.ndarray, phones: np.ndarray) -> np.ndarray:
        """The error of each resample (W,), with speakers (S, W) and phones (P, W) so often; NaN where nothing is
        left."""
        means, there = self.pair_means(speakers)
        weights = phones[self.a] * phones[self.b] * there
        return _ratio((weights * means).sum(axis=0), weights.sum(axis=0), np.nan)

    def pair_means(self, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By pair of phones and resample: the mean over contexts, then speakers, and whether there is any."""
        counts = np.where(self.within, self.counts.sum(axis=1, keepdims=True), self.counts @ speakers)
        sums = np.where(self.within, self.sums.sum(axis=1, keepdims=True), self.sums @ speakers)
        weights = speakers[self.speaker] * (counts > 0)
        total = np.add.reduceat(weights, self.pair_starts)
        means = np.add.reduceat(weights * _ratio(sums, counts, 0.0), self.pair_starts)
        return _ratio(means, total, 0.0), total > 0


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(part, otherwise), where=whole > 0)


def _weights(count: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of `count` is drawn in each resample (count, W)."""
    drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
    return np.stack([np.bincount(row, minlength=count) for row in drawn], axis=1).astype(np.float64)
