"""The clips of a task with their labels and groups: chosen by what the rows say, before any audio is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.harness.clips import ClipCorpus, CorpusClip, read_row
from eval.probes.probe_task import ProbeError, ProbeTask
from soundcodec_llmcodec.data import DataRow, identified
from soundcodec_llmcodec.nearest import did_you_mean

_SHOWN = 12


@dataclass(frozen=True)
class LabelledClip:
    """A clip's class, and the group that stays on one side of a fold."""

    clip_id: str
    label: str
    group: str | None = None


@dataclass(frozen=True, eq=False)
class TaskClips:
    """A task's clips in the order of their data set; `unlabelled` clips had no label or no group and are left out, as
    are the `small_classes`."""

    task: ProbeTask
    corpus: ClipCorpus
    clips: tuple[LabelledClip, ...]
    unlabelled: int = 0
    small_classes: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Clips by class, the classes by name."""
        return dict(sorted(Counter(clip.label for clip in self.clips).items()))

    def only(self, ids: Collection[str]) -> TaskClips:
        """With these clips alone."""
        return replace(self, clips=tuple(clip for clip in self.clips if clip.clip_id in ids))

    def audio(self) -> Iterator[CorpusClip]:
        """The clips decoded, one at a time; one that cannot be read is a `problem`."""
        ids = {clip.clip_id for clip in self.clips}
        return (replace(read_row(row), clip_id=row.clip_id) for row in _rows(self.corpus) if row.clip_id in ids)


def choose(task: ProbeTask, corpus: ClipCorpus, limit: int | None, seed: int) -> TaskClips:
    """A task's clips: those that `where` takes, without small classes, at most `limit`.

    A limit is a seeded draw that keeps the classes' shares. Raises ProbeError for a column that is not there, and for
    labels that cannot be classified: see `check`.
    """
    columns: set[str] = set()
    seen: dict[str, Counter[str]] = {name: Counter() for name, _ in task.where}
    clips: list[LabelledClip] = []
    unlabelled = 0
    for row in _rows(corpus):
        columns |= row.columns.keys()
        for name in seen:
            seen[name][str(row.columns.get(name))] += 1
        if not task.takes(row):
            continue
        label, group = task.label.of(row), task.group.of(row) if task.group else None
        if label is None or (task.group and group is None):
            unlabelled += 1
        else:
            clips.append(LabelledClip(row.clip_id, label, group))
    _check_columns(task, sorted(columns))
    if not clips:
        raise ProbeError(_no_clips(task, seen, unlabelled))
    sizes = Counter(clip.label for clip in clips)
    large = [clip for clip in clips if sizes[clip.label] >= task.min_clips]
    dropped = sum(size < task.min_clips for size in sizes.values())
    if not large:
        raise ProbeError(f"task {task.name!r}: no class has min_clips={task.min_clips} clips; {_sizes(sizes)}")
    chosen = TaskClips(task, corpus, tuple(_drawn(large, limit, seed)), unlabelled, dropped)
    check(chosen)
    return chosen


def check(chosen: TaskClips) -> None:
    """Raise ProbeError for one class only, a class with fewer clips than folds, or fewer groups than folds."""
    task, sizes = chosen.task, chosen.sizes
    if len(sizes) < 2:
        raise ProbeError(
            f"task {task.name!r} has one class only, {next(iter(sizes), None)!r}: there is nothing to tell apart; name "
            "another label=COLUMN, or leave a where= out"
        )
    small = {label: size for label, size in sizes.items() if size < task.folds}
    if small:
        raise ProbeError(
            f"task {task.name!r}: {len(small)} of {len(sizes)} classes have fewer clips than the {task.folds} folds, "
            f"{_sizes(small)}; leave them out with min_clips={task.folds}, or take fewer folds="
        )
    groups = {clip.group for clip in chosen.clips}
    if task.group is not None and len(groups) < task.folds:
        raise ProbeError(
            f"task {task.name!r}: {task.group} has {len(groups)} values, too few for {task.folds} folds of whole "
            f"groups; take folds={len(groups)}" + ("" if len(groups) > 1 else ", or another group=COLUMN")
        )


def _rows(corpus: ClipCorpus) -> Iterator[DataRow]:
    """All rows, with ids that tell splits apart where there are several."""
    for name, split in corpus.splits.items():
        for row in identified(split.rows(), name):
            yield row if len(corpus.splits) == 1 else replace(row, clip_id=f"{name}/{row.clip_id}")


def _check_columns(task: ProbeTask, columns: Sequence[str]) -> None:
    for name in task.columns():
        if name not in columns:
            raise ProbeError(
                f"task {task.name!r}: {task.dataset} has no column {name!r}{did_you_mean(name, columns)}; it has "
                f"{', '.join(['id', 'split', *columns])}"
            )


def _no_clips(task: ProbeTask, seen: Mapping[str, Counter[str]], unlabelled: int) -> str:
    if unlabelled:
        needed = f"{task.label}" + (f" and {task.group}" if task.group else "")
        return f"task {task.name!r}: none of {unlabelled} clips has a value in {needed}"
    values = "; ".join(f"{name} is {_sizes(counts)}" for name, counts in seen.items())
    return f"task {task.name!r}: no clip fits its where=; {values}"


def _sizes(sizes: Mapping[str, int]) -> str:
    shown = [f"{label} ({size})" for label, size in list(sizes.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(sizes) - _SHOWN} more" if len(sizes) > _SHOWN else "")


def _drawn(clips: Sequence[LabelledClip], limit: int | None, seed: int) -> Sequence[LabelledClip]:
    """At most `limit` clips in their order, the classes in about the shares that they have."""
    if limit is None or len(clips) <= limit:
        return clips
    rng = np.random.default_rng(seed)
    place_in_class = np.zeros(len(clips))
    labels = np.array([clip.label for clip in clips])
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place_in_class[members] = (rng.permutation(len(members)) + 0.5) / len(members)
    kept = np.sort(np.argsort(place_in_class, kind="stable")[:limit])
    return [clips[place] for place in kept]
