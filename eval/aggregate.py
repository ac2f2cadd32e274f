"""Means and intervals over clips, paired by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.metrics.base import Score

RESAMPLES = 1000
SEED = 0
# A mean over the clips that happened to work says nothing once this share of them failed.
MAX_FAILED_SHARE = 0.25


@dataclass(frozen=True)
class Summary:
    """A mean over n clips with its 95% interval; `failed` clips of this model gave no value; the mean may be refused.

    n counts the clips for which every compared model has a value. `low` and `high` are None for fewer than two clips.
    """

    n: int
    failed: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    refused: str | None = None


def bootstrap(values: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> tuple[float, float]:
    """The 95% percentile interval of the mean of `values` (N,), by seeded resampling of the clips."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (resamples, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def summarize(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, Summary]:
    """One metric's scores, model -> clip id -> Score, as a Summary a model.

    Every mean is over the clips for which all models have a value, so that the means compare. A model that failed on
    more than MAX_FAILED_SHARE of its clips gets no mean, and does not take clips away from the others.
    """
    failed = {model: sum(score.value is None for score in clips.values()) for model, clips in scores.items()}
    refused = {
        model: f"{failed[model]} of {len(clips)} clips have no value"
        for model, clips in scores.items()
        if not clips or failed[model] > MAX_FAILED_SHARE * len(clips)
    }
    trusted = [clips for model, clips in scores.items() if model not in refused]
    paired = _paired_ids(trusted)
    summaries = {}
    for model, clips in scores.items():
        if model in refused:
            summaries[model] = Summary(n=0, failed=failed[model], refused=refused[model])
            continue
        values = np.array([clips[clip_id].value for clip_id in paired], dtype=np.float64)
        if not len(values):
            summaries[model] = Summary(n=0, failed=failed[model], refused="no clip has a value from every model")
            continue
        low, high = bootstrap(values) if len(values) > 1 else (None, None)
        summaries[model] = Summary(len(values), failed[model], float(values.mean()), low, high)
    return summaries


def _paired_ids(models: Sequence[Mapping[str, Score]]) -> list[str]:
    """The ids with a value from every model, in the first model's order."""
    if not models:
        return []
    first, *others = models
    return [
        clip_id
        for clip_id, score in first.items()
        if score.value is not None and all(clip_id in other and other[clip_id].value is not None for other in others)
    ]
