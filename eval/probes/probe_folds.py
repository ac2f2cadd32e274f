"""Folds for probes: classes in equal shares, and no group on both sides.

Letters: N clips.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from eval.probes.probe_task import ProbeError
from soundcodec_llmcodec import extras

INNER_FOLDS = 3
# With one clip of a class to learn from there is none to choose the regularisation by.
_LEAST_TRAINED = 2


@dataclass(frozen=True, eq=False)
class ProbeFold:
    """Places of clips, int64: those that a probe learns from, and those that it is measured on."""

    train: np.ndarray
    test: np.ndarray


def require_sklearn() -> None:
    """Raise ImportError, naming the extra, where scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(extras.missing("probing", "scikit-learn", "eval")) from error


def split(labels: np.ndarray, groups: np.ndarray | None, folds: int, seed: int) -> list[ProbeFold]:
    """The folds of clips with `labels` (N,) and, where no group may be on both sides, `groups` (N,).

    Raises ProbeError where a class would be missing, or stand with a single clip, in what a fold learns from.
    """
    parts = _parts(labels, groups, folds, seed)
    classes = np.unique(labels)
    for part in parts:
        if not len(part.test):
            raise ProbeError(f"{folds} folds of whole groups leave one without clips; take fewer folds=")
        for label in classes:
            n_trained = int(np.sum(labels[part.train] == label))
            if n_trained < _LEAST_TRAINED:
                raise ProbeError(
                    f"class {str(label)!r} has {n_trained} clips outside one of {folds} folds, too few to learn it "
                    "from: its clips are of too few groups; leave it out, or take another group=COLUMN"
                )
    return parts


def inner(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> list[ProbeFold]:
    """The folds of a fold's training clips that the regularisation is chosen by.

    Of whole groups where every class has enough of them, else of clips.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if groups is not None:
        n_groups = min(len(np.unique(groups[labels == label])) for label in classes)
        if n_groups >= INNER_FOLDS:
            return _parts(labels, groups, INNER_FOLDS, seed)
    return _parts(labels, None, min(INNER_FOLDS, int(sizes.min())), seed)


def _parts(labels: np.ndarray, groups: np.ndarray | None, folds: int, seed: int) -> list[ProbeFold]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class in fewer groups than folds is `split`'s to judge, by what each fold learns from.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [ProbeFold(train, test) for train, test in splitter.split(np.zeros((len(labels), 1)), labels, groups)]
