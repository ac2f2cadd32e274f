"""What a share of rightly ordered pairs is worth: intervals, tests against chance, and two models on the same pairs.

A pair's point is 1 where the coherent recording is the likelier one, 0 where it is not, 0.5 for a tie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.harness import statistics
from eval.harness.statistics import holm, sign_flip_p

CHANCE = 0.5
CONFIDENCE = 0.95
# Of the standard normal distribution, for two-sided CONFIDENCE.
_Z = 1.959963984540054

Points = Mapping[str, Mapping[str, "float | None"]]


@dataclass(frozen=True)
class Accuracy:
    """A model's mean point over `n` pairs, in [0, 1], with its interval; `failed` pairs of its own have no point.

    `right` and `ties` count pairs, the rest are wrong. `p_value` is that of a two-sided test against chance,
    `p_adjusted` is Holm's for the models of the column. All are None where `refused` says why.
    """

    n: int
    failed: int
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    right: int | None = None
    ties: int | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    refused: str | None = None


@dataclass(frozen=True)
class AccuracyComparison:
    """A model's accuracy minus the baseline's on the same n pairs; `better` and `worse` count those that differ."""

    n: int
    difference: float
    low: float
    high: float
    better: int
    worse: int
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class AccuracyColumn:
    """A part, or the average over parts: each model's accuracy, and its comparison with the baseline."""

    accuracies: dict[str, Accuracy]
    comparisons: dict[str, AccuracyComparison]


def wilson(right: float, n: int) -> tuple[float, float]:
    """The 95% interval of a share of `right` in n >= 1 (Wilson 1927).

    Halves, which ties give, are taken as they are: the interval is then wider than it need be, never narrower.
    """
    if not 0 <= right <= n or n < 1:
        raise ValueError(f"expected 0 <= right <= n and n >= 1, got {right} of {n}")
    share, spread = right / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def chance_p(right: int, wrong: int, ties: int) -> float:
    """Two-sided p-value of an exact binomial test against chance; half of the ties count as right, half as wrong.

    The odd one of an odd number of ties is left out. Ties that are split count towards chance, as they do in the
    accuracy; to leave them all out would let two pairs of a hundred decide.
    """
    from scipy.stats import binomtest

    half = ties // 2
    n = right + wrong + 2 * half
    return 1.0 if not n else float(binomtest(right + half, n, CHANCE).pvalue)


def mcnemar_p(better: int, worse: int) -> float:
    """Two-sided p-value of the exact test that two models differ either way equally often (McNemar 1947)."""
    from scipy.stats import binomtest

    return 1.0 if not better + worse else float(binomtest(better, better + worse, CHANCE).pvalue)


def columns(parts: Mapping[str, Points], baseline: str | None) -> dict[str, AccuracyColumn]:
    """A column for each part; `parts` is part -> model -> pair id -> point, or None where the pair has none."""
    return {name: _column(points, baseline) for name, points in parts.items()}


def average(parts: Mapping[str, Points], by_part: Mapping[str, AccuracyColumn], baseline: str | None) -> AccuracyColumn:
    """The mean over parts, each part counting once whatever its size; of models that have an accuracy in every part.

    Parts are independent, so the squares of the intervals' arms add up (Zou and Donner 2008). Tests are sign-flip tests
    of the pairs' weighted points around chance (ties split as in `chance_p`), and of their differences from the
    baseline's.
    """
    accuracies: dict[str, Accuracy] = {}
    distances: dict[str, np.ndarray] = {}
    for model in next(iter(by_part.values())).accuracies:
        parts_of_model = {name: column.accuracies[model] for name, column in by_part.items()}
        refused = [name for name, accuracy in parts_of_model.items() if accuracy.refused]
        n, failed = (
            sum(accuracy.n for accuracy in parts_of_model.values()),
            sum(accuracy.failed for accuracy in parts_of_model.values()),
        )
        if refused:
            accuracies[model] = Accuracy(n, failed, refused=f"refused for {', '.join(refused)}")
            continue
        estimates = [(accuracy.accuracy, accuracy.low, accuracy.high) for accuracy in parts_of_model.values()]
        value, low, high = _combined(estimates)  # type: ignore[arg-type]
        right, ties = (
            sum(accuracy.right or 0 for accuracy in parts_of_model.values()),
            sum(accuracy.ties or 0 for accuracy in parts_of_model.values()),
        )
        accuracies[model] = Accuracy(n, failed, value, low, high, right, ties)
        weighted = [
            _split(_points(parts[name], model)) / (len(parts_of_model) * accuracy.n)
            for name, accuracy in parts_of_model.items()
        ]
        distances[model] = np.concatenate(weighted)
    return AccuracyColumn(
        _tested(accuracies, _flip_p(distances)), _average_comparisons(parts, by_part, accuracies, baseline)
    )


def _column(points: Points, baseline: str | None) -> AccuracyColumn:
    common = statistics.shared(points, "pairs")
    accuracies: dict[str, Accuracy] = {}
    p_values: dict[str, float] = {}
    for model in points:
        if model in common.refused:
            accuracies[model] = Accuracy(0, common.failed[model], refused=common.refused[model])
            continue
        values = _points(points, model)
        n, right, ties = len(values), int((values == 1).sum()), int((values == 0.5).sum())
        low, high = wilson(values.sum(), n)
        p_values[model] = chance_p(right, n - right - ties, ties)
        accuracies[model] = Accuracy(n, common.failed[model], float(values.mean()), low, high, right, ties)
    return AccuracyColumn(_tested(accuracies, p_values), _comparisons(points, accuracies, baseline))


def _points(points: Points, model: str) -> np.ndarray:
    """The model's points float64 (n,) on the pairs that all trusted models have."""
    return np.array([points[model][pair] for pair in statistics.shared(points, "pairs").ids], dtype=np.float64)


def _split(points: np.ndarray) -> np.ndarray:
    """Distances of points (n,) from chance, where half of the ties count as right, half as wrong, and an odd one as
    nothing."""
    distances = points - CHANCE
    ties = np.flatnonzero(distances == 0)
    half = len(ties) // 2
    distances[ties[:half]], distances[ties[half : 2 * half]] = CHANCE, -CHANCE
    return distances


def _comparisons(
    points: Points, accuracies: Mapping[str, Accuracy], baseline: str | None
) -> dict[str, AccuracyComparison]:
    if baseline is None or baseline not in accuracies or accuracies[baseline].refused:
        return {}
    differences = {
        model: _points(points, model) - _points(points, baseline)
        for model, accuracy in accuracies.items()
        if model != baseline and not accuracy.refused
    }
    counts = {model: (int((each > 0).sum()), int((each < 0).sum())) for model, each in differences.items()}
    p_values = {model: mcnemar_p(*counts[model]) for model in differences}
    adjusted = holm(p_values)
    compared = {}
    for model, each in differences.items():
        low, high = statistics.bootstrap(each) if len(each) > 1 else (-1.0, 1.0)
        compared[model] = AccuracyComparison(
            len(each), float(each.mean()), low, high, *counts[model], p_values[model], adjusted[model]
        )
    return compared


def _average_comparisons(
    parts: Mapping[str, Points],
    by_part: Mapping[str, AccuracyColumn],
    accuracies: Mapping[str, Accuracy],
    baseline: str | None,
) -> dict[str, AccuracyComparison]:
    if baseline is None or baseline not in accuracies or accuracies[baseline].refused:
        return {}
    models = [model for model, estimate in accuracies.items() if model != baseline and not estimate.refused]
    differences: dict[str, np.ndarray] = {}
    figures: dict[str, tuple[float, float, float]] = {}
    for model in models:
        parts_of_model = {name: column.comparisons[model] for name, column in by_part.items()}
        figures[model] = _combined(
            [(estimate.difference, estimate.low, estimate.high) for estimate in parts_of_model.values()]
        )
        weighted = [
            (_points(parts[name], model) - _points(parts[name], baseline)) / (len(parts_of_model) * estimate.n)
            for name, estimate in parts_of_model.items()
        ]
        differences[model] = np.concatenate(weighted)
    p_values = _flip_p(differences)
    adjusted = holm(p_values)
    compared = {}
    for model in models:
        of_parts = [column.comparisons[model] for column in by_part.values()]
        n, better, worse = (sum(getattr(estimate, name) for estimate in of_parts) for name in ("n", "better", "worse"))
        compared[model] = AccuracyComparison(n, *figures[model], better, worse, p_values[model], adjusted[model])
    return compared


def _flip_p(differences: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Sign-flip p-values by model of differences (n,), all of the same pairs."""
    if not differences:
        return {}
    p_values = sign_flip_p(np.stack(list(differences.values()), axis=1)).tolist()
    return dict(zip(differences, p_values, strict=True))


def _tested(accuracies: Mapping[str, Accuracy], p_values: Mapping[str, float]) -> dict[str, Accuracy]:
    """The accuracies with their p-values and Holm's."""
    adjusted = holm(p_values)
    return {
        model: replace(accuracy, p_value=p_values[model], p_adjusted=adjusted[model]) if model in adjusted else accuracy
        for model, accuracy in accuracies.items()
    }


def _combined(estimates: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """The mean of independent estimates (value, low, high), with its interval."""
    n = len(estimates)
    value = math.fsum(value for value, _, _ in estimates) / n
    below = math.sqrt(math.fsum((value - low) ** 2 for value, low, _ in estimates)) / n
    above = math.sqrt(math.fsum((high - value) ** 2 for value, _, high in estimates)) / n
    return value, value - below, value + above
