"""Measured rows with what each is held against: its own experiment's baseline and control curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from experiments.tradeoff.collect import MeasuredRow, collected, under_control
from experiments.tradeoff.tradeoff_rows import Experiment, ExperimentError


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one experiment, the row that others are compared with, and two families: its control curve, and the
    baseline with other seeds."""

    rows: tuple[MeasuredRow, ...]
    base: MeasuredRow
    control: str
    seed: str

    def base_of(self, result: MeasuredRow) -> MeasuredRow:
        """What a row is compared with: the baseline, or the row that it names, as one of its own seed."""
        return next((other for other in self.rows if other.row.name == result.row.against), self.base)

    def controls(self, metric: str, base: MeasuredRow | None = None) -> list[MeasuredRow]:
        """The rows of the control curve that were measured by a metric; `base` takes the baseline's place on it."""
        curve = [result for result in self.rows if result.row.family == self.control and result is not self.base]
        return [result for result in (base or self.base, *curve) if result.has(metric)]

    def seeds(self) -> list[MeasuredRow]:
        """The baseline trained anew with other seeds."""
        return [result for result in self.rows if result.row.family == self.seed]

    def is_comparable(self, result: MeasuredRow, metric: str) -> bool:
        """Whether a row is to be held against the control curve: no control itself, measured, and there is a curve."""
        return result.row.family != self.control and result.has(metric) and len(self.controls(metric)) > 1

    def under_control(
        self, result: MeasuredRow, metric: str, times: np.ndarray, base: MeasuredRow | None = None
    ) -> np.ndarray:
        """`collect.under_control` of a row and its curve, on which `base` or its own baseline is the first point."""
        return under_control(result, self.controls(metric, base or self.base_of(result)), metric, times)


def gathered(experiment: Experiment, out: Path, further: Sequence[tuple[Experiment, Path]] = ()) -> list[Group]:
    """The experiment's rows measured so far, and those of `further` ones on the same clips, told apart by their labels.
    Raises ExperimentError where clips differ, and where two rows would have one name."""
    groups = [_group(experiment, collected(experiment, out))]
    for other, place in further:
        if (other.lm, other.every) != (experiment.lm, experiment.every):
            raise ExperimentError(f"the {other.label} experiment's fresh language models are others: `lm` or `every`")
        rows = [_labelled(result, other.label) for result in collected(other, place)]
        groups.append(_group(other, rows, f", {other.label}"))
    if len({group.base.clip_ids for group in groups}) > 1:
        raise ExperimentError("the experiments were measured on different clips")
    names = [result.row.name for group in groups for result in group.rows]
    if len(set(names)) < len(names):
        raise ExperimentError("two experiments have rows of one name: give each a `label` of its own")
    return groups


def _group(experiment: Experiment, rows: Sequence[MeasuredRow], suffix: str = "") -> Group:
    missing = sorted(
        {str(result.row.against) for result in rows if result.row.against} - {result.row.name for result in rows}
    )
    if missing:
        raise ExperimentError(f"rows are compared with {', '.join(missing)}, which is not measured yet")
    base = next(result for result in rows if result.row.name == f"{experiment.baseline}{suffix}")
    return Group(tuple(rows), base, f"{experiment.control}{suffix}", f"{experiment.control} seed{suffix}")


def _labelled(result: MeasuredRow, label: str) -> MeasuredRow:
    row = replace(result.row, name=f"{result.row.name}, {label}", family=f"{result.row.family}, {label}")
    if row.against is not None:
        row = replace(row, against=f"{row.against}, {label}")
    return replace(result, row=row)
