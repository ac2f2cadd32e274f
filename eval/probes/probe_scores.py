"""What predictions come to: accuracy with its interval, over groups where there are enough of them.

Letters: N clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.harness.statistics import bootstrap

MAJORITY = "majority class"
# Fewer groups than this are resampled too coarsely; then clips are.
LEAST_GROUPS = 8


@dataclass(frozen=True)
class ProbeAccuracy:
    """The share of clips that were predicted right, or a difference of two, with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class ProbeScore:
    """A representation on a task: its accuracy over n clips, or the reason why there is none.

    `predicted` (N,) are classes in the order of the task's clips, `strengths` the inverse penalty of each fold.
    """

    task: str
    representation: str
    accuracy: ProbeAccuracy | None = None
    reason: str | None = None
    predicted: np.ndarray | None = None
    strengths: tuple[float, ...] = ()


def resampled_units(groups: np.ndarray | None) -> str:
    """Whether an interval resamples "groups" or "clips"."""
    return "groups" if groups is not None and len(np.unique(groups)) >= LEAST_GROUPS else "clips"


def accuracy(predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> ProbeAccuracy:
    """Of predictions (N,) for `labels` (N,); clips of one of the `groups` (N,) are drawn together."""
    return _mean((predicted == labels).astype(np.float64), groups)


def difference(
    predicted: np.ndarray, baseline: np.ndarray, labels: np.ndarray, groups: np.ndarray | None
) -> ProbeAccuracy:
    """How much more of `labels` (N,) predictions (N,) have right than a baseline's (N,), clip by clip."""
    return _mean((predicted == labels).astype(np.float64) - (baseline == labels), groups)


def _mean(values: np.ndarray, groups: np.ndarray | None) -> ProbeAccuracy:
    """The mean of values (N,) with its interval."""
    if groups is None or resampled_units(groups) == "clips":
        return ProbeAccuracy(float(values.mean()), *bootstrap(values))
    _, places = np.unique(groups, return_inverse=True)
    sizes = np.bincount(places).astype(np.float64)
    return ProbeAccuracy(float(values.mean()), *bootstrap(np.bincount(places, values) / sizes, sizes))


def majority(labels: np.ndarray) -> np.ndarray:
    """The most frequent of the labels (N,), the first by name among equals, for each clip (N,)."""
    classes, sizes = np.unique(labels, return_counts=True)
    return np.full_like(labels, classes[sizes.argmax()])
