"""The Fréchet distance between two sets of embeddings, corrected for the number of items, with an interval.

Between Gaussians: d^2 = |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) (Dowson and Landau 1982; Heusel et al. 2017 of
images, Kilgour et al. 2019 of sound). Of finite sets it is too large, by a term that falls as 1 / n (Chong and Forsyth
2020), and most of it where n is not far above the number of dimensions: two halves of one set are apart, too.

Letters: N items, D dimensions, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MINIMUM = 16
FOLDS = 20


@dataclass(frozen=True)
class Moments:
    """Mean float64 (D,) and covariance (D, D) of `n` items; `shrinkage` in [0, 1] is how far the covariance was moved
    towards a multiple of the identity, 0 where it was not."""

    n: int
    mean: np.ndarray
    covariance: np.ndarray
    shrinkage: float = 0.0

    @classmethod
    def of(cls, items: np.ndarray, shrink: bool | None = None, minimum: int = MINIMUM) -> Moments:
        """Of items (N, D), with the covariance of Ledoit and Wolf (2004) where `shrink`; None does that where N is D
        or less and the sample covariance is singular.

        Raises ValueError for less than `minimum` items, and for numbers that are not finite.
        """
        items = np.asarray(items, np.float64)
        if items.ndim != 2 or len(items) < minimum:
            raise ValueError(f"expected at least {minimum} items as (N, D), got {items.shape}; give more clips")
        if not np.isfinite(items).all():
            raise ValueError("expected finite embeddings, got some that are not")
        n, dimensions = items.shape
        mean = items.mean(0)
        centred = items - mean
        if not (n <= dimensions if shrink is None else shrink):
            return cls(n, mean, centred.T @ centred / (n - 1))
        covariance = centred.T @ centred / n
        scale = np.trace(covariance) / dimensions
        identity = np.eye(dimensions)
        distance = np.sum((covariance - scale * identity) ** 2)
        # The mean over items of |x x' - C|^2 is that of |x|^4 less |C|^2.
        noise = (np.mean(np.sum(centred**2, axis=1) ** 2) - np.sum(covariance**2)) / n
        shrinkage = float(min(1.0, noise / distance)) if distance > 0 else 0.0
        return cls(n, mean, (1 - shrinkage) * covariance + shrinkage * scale * identity, shrinkage)


@dataclass(frozen=True)
class SetDistance:
    """Squared Fréchet distance of `n` items to `n_true`.

    `value` is the plain one. `corrected` is what it would be of endlessly many items, by the jackknife, and may be
    below 0 by chance; `low` and `high` are its 95% interval. `shrinkage` is the largest one of the sets: where it is
    above 0, there are too few items for their dimensions, and distances tell an order at best.
    """

    value: float
    corrected: float
    low: float
    high: float
    n: int
    n_true: int
    groups: int
    shrinkage: float


def frechet(one: Moments, other: Moments) -> float:
    """The squared Fréchet distance of two Gaussians."""
    root = _square_root(one.covariance)
    # The eigenvalues of C C' are those of the symmetric C^(1/2) C' C^(1/2); below 0 they are rounding.
    product = np.linalg.eigvalsh(root @ other.covariance @ root)
    cross = np.sum(np.sqrt(np.maximum(product, 0.0)))
    apart = np.sum((one.mean - other.mean) ** 2)
    return float(max(0.0, apart + np.trace(one.covariance) + np.trace(other.covariance) - 2 * cross))


def set_distance(
    draws: Sequence[np.ndarray],
    true: np.ndarray,
    draw_groups: Sequence[Sequence[str] | np.ndarray],
    true_groups: Sequence[str] | np.ndarray,
) -> SetDistance:
    """How far sets (N, D) are from the true one (N', D), on average over the sets (one a seed).

    A group says which recording an item is of; groups are left out together, from all sets, a fold of them at a time.
    Raises ValueError as `Moments.of`, for less than 4 groups, and where an item has no group.
    """
    all_groups = [np.asarray(groups) for groups in (*draw_groups, true_groups)]
    sets = [np.asarray(items, np.float64) for items in (*draws, true)]
    if len(sets) < 2 or [len(items) for items in sets] != [len(groups) for groups in all_groups]:
        raise ValueError("expected at least one set, and a group for each item of all sets")
    names = sorted({str(name) for groups in all_groups for name in groups})
    if len(names) < 4:
        raise ValueError(f"expected items of at least 4 recordings, got {len(names)}; there is no interval of fewer")

    order = np.random.default_rng(0).permutation(names)
    folds = [order[start::FOLDS] for start in range(min(FOLDS, len(names)))]
    kept = [[~np.isin(groups, fold) for groups in all_groups] for fold in folds]
    # All folds with one kind of covariance, or their differences would be those of the kinds.
    shrink = min(int(mask.sum()) for masks in kept for mask in masks) <= sets[0].shape[1]

    def distance(masks: Sequence[np.ndarray], minimum: int = 2) -> tuple[float, float]:
        moments = [Moments.of(items[mask], shrink, minimum) for items, mask in zip(sets, masks, strict=True)]
        values = [frechet(drawn, moments[-1]) for drawn in moments[:-1]]
        return float(np.mean(values)), max(each.shrinkage for each in moments)

    value, shrinkage = distance([np.ones(len(groups), bool) for groups in all_groups], MINIMUM)
    corrected, half = _jackknife(value, np.array([distance(masks)[0] for masks in kept]))
    n = round(float(np.mean([len(items) for items in sets[:-1]])))
    return SetDistance(value, corrected, corrected - half, corrected + half, n, len(true), len(names), shrinkage)


def halves(true: np.ndarray, groups: Sequence[str]) -> SetDistance:
    """The floor: a seeded half of the recordings against the other half.

    It has half the items, so that its plain value is larger than that of two equal sets of the whole size; the
    corrected one is about 0. Raises ValueError as `set_distance`.
    """
    items, names = np.asarray(true), np.asarray(groups)
    is_first = np.isin(names, np.random.default_rng(1).permutation(sorted(set(groups)))[::2])
    return set_distance([items[is_first]], items[~is_first], [names[is_first]], names[~is_first])


def _jackknife(value: float, without: np.ndarray) -> tuple[float, float]:
    """The bias-corrected value and half of its 95% interval, of values (G,) with one fold left out each.

    Source: Efron and Tibshirani 1993, chapters 10 and 11; Student's t with G - 1 degrees of freedom.
    """
    from scipy.stats import t as student

    folds = len(without)
    corrected = folds * value - (folds - 1) * float(without.mean())
    error = np.sqrt((folds - 1) / folds * np.sum((without - without.mean()) ** 2))
    return corrected, float(student.ppf(0.975, folds - 1) * error)


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """The root of a symmetric matrix without negative eigenvalues (but for rounding)."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
