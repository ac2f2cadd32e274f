"""Means and intervals over clips, paired by id, and what two codecs' difference on the same clips is worth."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.harness.score import Score

RESAMPLES = 1000
FLIPS = 10_000
SEED = 0
# A mean over the clips that happened to work says nothing once this share of them failed.
MAX_FAILED_SHARE = 0.25
# Up to this many clips, all ways to flip their differences are gone through.
EXACT_UP_TO = 13


@dataclass(frozen=True)
class MetricSummary:
    """A mean over n clips with its 95% interval; `failed` clips of this model gave no value; the mean may be refused.

    n counts the clips for which every compared model has a value. `low` and `high` are None for fewer than two clips.
    """

    n: int
    failed: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A model's mean minus the baseline's on the same n clips, with its 95% interval.

    `p_value` is a two-sided sign-flip test's; `p_adjusted` is Holm's, for all models that are compared in this metric.
    """

    n: int
    difference: float
    low: float | None
    high: float | None
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class MetricColumn:
    """One metric of all models: a Summary each, and a Comparison of each with the baseline where there can be one.

    `originals` is a Summary of the clips themselves, over the same clips, where they have values.
    """

    summaries: dict[str, MetricSummary]
    comparisons: dict[str, Comparison]
    originals: MetricSummary | None = None


@dataclass(frozen=True)
class Shared:
    """The ids for which every model that is not refused has a value, in the first one's order; by model, how many it
    has no value for, and why it is refused."""

    ids: list[str]
    failed: dict[str, int]
    refused: dict[str, str]


def bootstrap(values: np.ndarray, weights: np.ndarray | None = None, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95% percentile interval of the (weighted) mean of `values` (N,), by seeded resampling of the clips."""
    weights = np.ones(len(values)) if weights is None else weights
    means = resampled(len(values), resamples) @ np.stack((weights * values, weights), axis=1)
    low, high = np.percentile(means[:, 0] / means[:, 1], (2.5, 97.5))
    return float(low), float(high)


def sign_flip_p(differences: np.ndarray, flips: int = FLIPS, seed: int = SEED) -> np.ndarray:
    """Two-sided p-values (K,) of K columns of differences (N, K) having no preferred sign.

    Exact for few clips, else by seeded draws, which count the observed signs in (Phipson and Smyth 2010). Source:
    Fisher's randomisation test for pairs.
    """
    n = len(differences)
    # What is reached by exactly the observed signs must not be missed by rounding.
    reached = np.abs(differences.sum(axis=0)) - 1e-12 * np.abs(differences).sum(axis=0)
    if n <= EXACT_UP_TO:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return np.mean(np.abs((1.0 - 2.0 * bits) @ differences) >= reached, axis=0)
    rng = np.random.default_rng(seed)
    extreme = np.zeros(differences.shape[1], dtype=np.int64)
    for start in range(0, flips, 1000):
        signs = 1.0 - 2.0 * rng.integers(0, 2, (min(1000, flips - start), n), dtype=np.int8)
        extreme += np.count_nonzero(np.abs(signs @ differences) >= reached, axis=0)
    return (extreme + 1) / (flips + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjustment of p-values by name."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def shared(values: Mapping[str, Mapping[str, float | None]], items: str = "clips") -> Shared:
    """What models can be compared on, model -> id -> value, or None where the model has none.

    A model without values on more than MAX_FAILED_SHARE of its items is refused, and does not take ids away from the
    others; where less than the rest of all items is left to the others, all of them are refused.
    """
    failed = {model: sum(value is None for value in by_id.values()) for model, by_id in values.items()}
    refused = {
        model: f"{failed[model]} of {len(by_id)} {items} have no value"
        for model, by_id in values.items()
        if not by_id or failed[model] > MAX_FAILED_SHARE * len(by_id)
    }
    trusted = {model: by_id for model, by_id in values.items() if model not in refused}
    ids = _paired_ids(list(trusted.values()))
    n_items = max((len(by_id) for by_id in values.values()), default=0)
    if not ids or len(ids) < (1 - MAX_FAILED_SHARE) * n_items:
        few = f"only {len(ids)} of {n_items} {items} have" if ids else f"no {items.removesuffix('s')} has"
        refused |= dict.fromkeys(trusted, f"{few} a value from every model")
    return Shared(ids, failed, refused)


def column(
    scores: Mapping[str, Mapping[str, Score]],
    baseline: str | None = None,
    originals: Mapping[str, Score] | None = None,
) -> MetricColumn:
    """One metric's scores, model -> clip id -> Score, summarized and compared with the `baseline` model.

    Every mean is over the clips for which all models have a value, so that the means compare. A model that failed on
    more than MAX_FAILED_SHARE of its clips gets no mean, and does not take clips away from the others. The `originals`
    are summarized over the same clips, and change nothing for the models.
    """
    common = shared({model: {i: score.value for i, score in clips.items()} for model, clips in scores.items()})
    paired, failed, refused = common.ids, common.failed, common.refused
    trusted = {model: clips for model, clips in scores.items() if model not in refused}
    values = {model: np.array([clips[i].value for i in paired], dtype=np.float64) for model, clips in trusted.items()}
    weights = {model: np.array([clips[i].weight for i in paired], dtype=np.float64) for model, clips in trusted.items()}
    summaries = {
        model: MetricSummary(0, failed[model], refused=refused[model])
        if model in refused
        else _summary(values[model], weights[model], failed[model])
        for model in scores
    }
    floor = None if originals is None else _floor(originals, paired)
    if baseline not in trusted:
        return MetricColumn(summaries, {}, floor)
    others = [model for model in trusted if model != baseline]
    differences = [weights[model] * (values[model] - values[baseline]) for model in others]
    p_values = dict(zip(others, sign_flip_p(np.stack(differences, axis=1)).tolist(), strict=True)) if others else {}
    adjusted = holm(p_values)
    compared = {}
    for model in others:
        difference = values[model] - values[baseline]
        mean = float(np.average(difference, weights=weights[model]))
        low, high = bootstrap(difference, weights[model]) if len(paired) > 1 else (None, None)
        compared[model] = Comparison(len(paired), mean, low, high, p_values[model], adjusted[model])
    return MetricColumn(summaries, compared, floor)


def _floor(originals: Mapping[str, Score], paired: Sequence[str]) -> MetricSummary:
    """The originals over those of the models' clips for which they have a value, too."""
    failed = sum(score.value is None for score in originals.values())
    floor_scores = [
        score for clip_id in paired if (score := originals.get(clip_id)) is not None and score.value is not None
    ]
    if not floor_scores:
        return MetricSummary(0, failed, refused="no clip has a value from every model and the original")
    values = np.array([score.value for score in floor_scores], dtype=np.float64)
    return _summary(values, np.array([score.weight for score in floor_scores]), failed)


def _summary(values: np.ndarray, weights: np.ndarray, failed: int) -> MetricSummary:
    low, high = bootstrap(values, weights) if len(values) > 1 else (None, None)
    return MetricSummary(len(values), failed, float(np.average(values, weights=weights)), low, high)


def _paired_ids(models: Sequence[Mapping[str, float | None]]) -> list[str]:
    """The ids with a value from every model, in the first model's order."""
    if not models:
        return []
    first, *others = models
    return [
        clip_id
        for clip_id, value in first.items()
        if value is not None and all(other.get(clip_id) is not None for other in others)
    ]


@functools.lru_cache(maxsize=4)
def resampled(n: int, resamples: int) -> np.ndarray:
    """How often each of n clips is drawn in each resample, float64 (resamples, n); the same for all columns."""
    drawn = np.random.default_rng(SEED).integers(0, n, (resamples, n))
    return np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.float64)
