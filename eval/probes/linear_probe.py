"""The probe: multinomial logistic regression on standardised features, out of fold.

Letters: N clips, D features.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.probes.probe_folds import ProbeFold, inner

# Inverse strengths of the L2 penalty, the strongest first: of equally accurate ones the first is taken.
# The weak ones are for code vectors, which are lifted from a few dimensions (8) and collinear.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0, 10_000.0)
MAX_ITERATIONS = 1000


@dataclass(frozen=True, eq=False)
class Predictions:
    """A class for each clip (N,), from the fold that did not learn from it, and each fold's inverse penalty."""

    labels: np.ndarray
    strengths: tuple[float, ...]


def out_of_fold(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, folds: Sequence[ProbeFold], seed: int
) -> Predictions:
    """Predict the `labels` (N,) from `features` (N, D), each fold's from the clips outside it.

    Mean and variance of the features, the penalty (by `inner` folds) and the weights all come from those clips alone.
    """
    predicted = np.empty_like(labels)
    strengths = []
    for fold in folds:
        groups_here = None if groups is None else groups[fold.train]
        probe = _fitted(features[fold.train], labels[fold.train], groups_here, seed)
        predicted[fold.test] = probe.predict(features[fold.test])
        strengths.append(float(probe.best_params_["logisticregression__C"]))
    return Predictions(predicted, tuple(strengths))


def _fitted(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Scaling is within the search, so that the inner folds do not know each other's scale either.
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS))
    parts = [(fold.train, fold.test) for fold in inner(labels, groups, seed)]
    search = GridSearchCV(probe, {"logisticregression__C": list(STRENGTHS)}, cv=parts, scoring="accuracy")
    with warnings.catch_warnings():
        # Weak penalties on separable classes take longest; where it matters, a stronger one is as accurate.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(features, labels)
