"""A run: every representation on every task, on the same clips and the same folds.

Letters: N clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from eval.harness.model_specs import Unloaded
from eval.harness.statistics import shared
from eval.probes import probe_clips, probe_folds
from eval.probes.linear_probe import out_of_fold
from eval.probes.pooled_features import PooledFeatures
from eval.probes.probe_clips import TaskClips
from eval.probes.probe_scores import MAJORITY, ProbeScore, accuracy, majority
from eval.probes.probe_task import ProbeError

# Clips after which features are kept, so that a kill costs no more than these.
_KEPT_EVERY = 50


@dataclass(frozen=True)
class ProbesHow:
    """How representations are probed: the `pooling` over frames, the seed of draws and folds, and whether a bar is
    shown."""

    pooling: str = "mean"
    seed: int = 0
    limit: int | None = None
    device: str = "cpu"
    progress: bool = False


@dataclass(frozen=True, eq=False)
class ProbedTask:
    """A task as it was measured: its clips, those that every representation has features of; the fold of each (N,);
    the scores, the majority class first; and by clip why some were left out."""

    clips: TaskClips
    fold_of: np.ndarray
    scores: tuple[ProbeScore, ...]
    failures: dict[str, str]

    @property
    def labels(self) -> np.ndarray:
        """Classes (N,)."""
        return np.array([clip.label for clip in self.clips.clips])

    @property
    def groups(self) -> np.ndarray | None:
        """Groups (N,), where the task has such."""
        return _groups(self.clips)


@dataclass(frozen=True, eq=False)
class ProbesRun:
    """The tasks in their order, what was probed, and what could not be had."""

    tasks: tuple[ProbedTask, ...]
    features: tuple[PooledFeatures, ...]
    unloaded: tuple[Unloaded, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every representation was measured on every clip of every task."""
        failed = any(task.failures for task in self.tasks)
        return not (failed or self.unloaded or any(score.reason for task in self.tasks for score in task.scores))


def run(
    tasks: Sequence[TaskClips],
    features: Sequence[PooledFeatures],
    how: ProbesHow,
    unloaded: Sequence[Unloaded] = (),
    output: Path | None = None,
) -> ProbesRun:
    """Probe representations, by their features, on tasks. Features are kept in `output`, also when it is stopped."""

    def keep() -> None:
        if output:
            for each in features:
                each.write(output)

    total = sum(len(chosen.clips) for chosen in tasks)
    probed = []
    with tqdm(total=total, unit="clip", desc="clips", disable=not how.progress, leave=False) as bar:
        for chosen in tasks:
            try:
                digests, problems = _compute(chosen, features, bar.update, keep)
            finally:
                keep()
            probed.append(_probe(chosen, features, digests, problems, how))
    return ProbesRun(tuple(probed), tuple(features), tuple(unloaded))


def _compute(
    chosen: TaskClips, features: Sequence[PooledFeatures], done: Callable[[int], object], keep: Callable[[], None]
) -> tuple[dict[str, str], dict[str, str]]:
    """Features of a task's clips: their digests by clip id, and the problems of those that cannot be read."""
    digests, problems = {}, {}
    for place, clip in enumerate(chosen.audio(), 1):
        if clip.problem is None:
            digests[clip.clip_id] = clip.digest
            for each in features:
                each.add(clip)
        else:
            problems[clip.clip_id] = clip.problem
        done(1)
        if place % _KEPT_EVERY == 0:
            keep()
    return digests, problems


def _probe(
    chosen: TaskClips,
    features: Sequence[PooledFeatures],
    digests: dict[str, str],
    problems: dict[str, str],
    how: ProbesHow,
) -> ProbedTask:
    """Measure a task on the clips that every representation has features of."""
    failed: dict[str, dict[str, str]] = {}
    values: dict[str, dict[str, float | None]] = {}
    for each in features:
        name = each.representation.name
        failed[name] = {i: each.failures[digest] for i, digest in digests.items() if digest in each.failures}
        values[name] = {clip_id: None if clip_id in failed[name] else 1.0 for clip_id in digests}
    common = shared(values)
    failures = dict(problems)
    for name, reasons in failed.items():
        failures |= {i: f"{name}: {reason}" for i, reason in reasons.items()}
    chosen = chosen.only(common.ids)
    try:
        if not chosen.clips:
            raise ProbeError(f"task {chosen.task.name!r}: no clip is left; {next(iter(failures.values()), '')}")
        probe_clips.check(chosen)
        labels, groups = np.array([clip.label for clip in chosen.clips]), _groups(chosen)
        folds = probe_folds.split(labels, groups, chosen.task.folds, how.seed)
    except ProbeError as error:
        refused = {name: common.refused.get(name, str(error)) for name in (MAJORITY, *values)}
        scores = (ProbeScore(chosen.task.name, name, reason=reason) for name, reason in refused.items())
        return ProbedTask(chosen, np.zeros(len(chosen.clips), np.int64), tuple(scores), failures)
    fold_of = np.zeros(len(labels), np.int64)
    for place, fold in enumerate(folds):
        fold_of[fold.test] = place
    constant = majority(labels)
    rows = [ProbeScore(chosen.task.name, MAJORITY, accuracy(constant, labels, groups), predicted=constant)]
    for each in features:
        name = each.representation.name
        if name in common.refused:
            rows.append(ProbeScore(chosen.task.name, name, reason=common.refused[name]))
            continue
        vectors = np.stack([_vector(each, digests[clip.clip_id], how.pooling) for clip in chosen.clips])
        predictions = out_of_fold(vectors, labels, groups, folds, how.seed)
        value = accuracy(predictions.labels, labels, groups)
        rows.append(ProbeScore(chosen.task.name, name, value, None, predictions.labels, predictions.strengths))
    return ProbedTask(chosen, fold_of, tuple(rows), failures)


def _vector(features: PooledFeatures, digest: str, pooling: str) -> np.ndarray:
    vector = features.of(digest, pooling)
    if vector is None:
        raise KeyError(f"{features.representation.name} has no features of {digest}")
    return vector


def _groups(chosen: TaskClips) -> np.ndarray | None:
    return np.array([clip.group for clip in chosen.clips]) if chosen.task.group else None
