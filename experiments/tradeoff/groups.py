"""Measured rows with what each is held against: its own experiment's baseline and control curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.tradeoff.collect import Measured, collected
from experiments.tradeoff.rows import Experiment, ExperimentError


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one experiment, the row that others are compared with, and the family of its control curve."""

    rows: tuple[Measured, ...]
    base: Measured
    control: str

    def controls(self, metric: str) -> list[Measured]:
        """The rows of the control curve that were measured by a metric."""
        return [one for one in self.rows if one.row.family == self.control and metric in one.scores]

    def is_comparable(self, one: Measured, metric: str) -> bool:
        """Whether a row is to be held against the control curve: no control itself, measured, and there is a curve."""
        return one.row.family != self.control and metric in one.scores and len(self.controls(metric)) > 1


def gathered(experiment: Experiment, out: Path, further: Sequence[tuple[Experiment, Path]] = ()) -> list[Group]:
    """The experiment's rows measured so far, and those of `further` ones on the same clips, told apart by their labels.
    Raises ExperimentError where clips differ, and where two rows would have one name."""
    groups = [_group(experiment, collected(experiment, out), experiment.control)]
    for other, place in further:
        rows = [_told_apart(one, other.label) for one in collected(other, place)]
        groups.append(_group(other, rows, f"{other.control}, {other.label}", f", {other.label}"))
    if len({group.base.clip_ids for group in groups}) > 1:
        raise ExperimentError("the experiments were measured on different clips")
    names = [one.row.name for group in groups for one in group.rows]
    if len(set(names)) < len(names):
        raise ExperimentError("two experiments have rows of one name: give each a `label` of its own")
    return groups


def _group(experiment: Experiment, rows: Sequence[Measured], control: str, suffix: str = "") -> Group:
    base = next(one for one in rows if one.row.name == f"{experiment.baseline}{suffix}")
    return Group(tuple(rows), base, control)


def _told_apart(one: Measured, label: str) -> Measured:
    row = replace(one.row, name=f"{one.row.name}, {label}", family=f"{one.row.family}, {label}")
    return replace(one, row=row)
