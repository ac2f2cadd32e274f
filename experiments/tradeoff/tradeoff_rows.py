"""What is compared: rows, each a codec trained in its own way from one midpoint, as a YAML file has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from soundcodec_llmcodec.lm.training.lm_config import load_config as load_lm_config
from soundcodec_llmcodec.runs.config_values import build, merged
from soundcodec_llmcodec.train.train_config import load_config

T = TypeVar("T")
# Folders beside those of the rows.
RESERVED = {"cache", "token-speech"}


class ExperimentError(ValueError):
    """An experiment that cannot run as it is described, with what was found and what to do."""


@dataclass(frozen=True)
class RowSpec:
    """A codec to train and to measure.

    `family` is the line it belongs to in the picture, `strength` its place on it. `codebook` is the number of codes
    that the midpoint's are clustered to first (None: all of them). `parts` says whether what trains beside the codec
    (a prior, the LLM's rows) comes from the midpoint too. `start` names another row, whose codec this one goes on from
    in place of the midpoint's; nothing beside the codec comes with it. `against` names the row that this one is
    compared with where that is not the experiment's baseline, as one of the same seed. `use` names shared settings,
    `set` the row's own, both as differences to `common`. `full` rows are measured by all metrics and on SALMon's pairs.
    `title` is what the picture calls it, and the tables beside its name.
    """

    name: str
    family: str
    strength: float = 0.0
    codebook: int | None = None
    parts: bool = True
    start: str | None = None
    against: str | None = None
    use: tuple[str, ...] = ()
    set: Mapping[str, Any] = field(default_factory=dict)
    full: bool = False
    title: str | None = None

    @property
    def shown(self) -> str:
        """Its name and, in brackets, its title."""
        return self.name if self.title is None else f"{self.name} ({self.title})"


@dataclass(frozen=True)
class Experiment:
    """Rows and what they share: the training config (`common`), named settings, the fresh language model's config
    (`lm`), which learns from every `every`-th training clip, and the metrics. `label` tells its rows apart from those
    of another experiment that they stand beside."""

    rows: tuple[RowSpec, ...]
    common: Mapping[str, Any]
    lm: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    every: int = 1
    metrics: tuple[str, ...] = ("mel", "stft", "pesq", "stoi")
    full_metrics: tuple[str, ...] = ("mel", "stft", "pesq", "stoi", "f0corr", "wer", "speaker_sim")
    baseline: str = "base"
    control: str = "control"
    label: str = "further"

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ExperimentError(f"rows are told apart by their names; given twice: {', '.join(twice)}")
        if self.baseline not in names:
            raise ExperimentError(f"the baseline {self.baseline!r} is none of the rows {', '.join(names)}")
        lost = [row for row in self.rows if row.start is not None and (row.start not in names or row.start == row.name)]
        if lost:
            raise ExperimentError(f"{lost[0].name} starts from {lost[0].start!r}, which is no other row")
        alone = [row for row in self.rows if row.against is not None and row.against not in names]
        if alone:
            raise ExperimentError(f"{alone[0].name} is compared with {alone[0].against!r}, which is no row")
        taken = sorted(set(names) & RESERVED)
        if taken:
            raise ExperimentError(f"rows cannot be called {', '.join(taken)}: folders of the results are")
        if self.every < 1 or "mel" not in self.metrics or "mel" not in self.full_metrics or "steps" not in self.lm:
            raise ExperimentError("an experiment needs every >= 1, mel among its metrics, and lm.steps")
        unknown = sorted({use for row in self.rows for use in row.use} - set(self.settings))
        if unknown:
            known = ", ".join(self.settings) or "none"
            raise ExperimentError(f"unknown settings {', '.join(unknown)}; there are {known}")

    def named(self, names: Sequence[str] | None) -> tuple[RowSpec, ...]:
        """Rows by name in the given order, all of them for None. Raises ExperimentError for unknown ones."""
        if names is None:
            return self.rows
        names = list(dict.fromkeys(names))
        by_name = {row.name: row for row in self.rows}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise ExperimentError(f"no rows {', '.join(unknown)}; there are {', '.join(by_name)}")
        return tuple(by_name[name] for name in names)

    def check(self) -> None:
        """Make every config now, so that a wrong key in the last row is not found hours later. Raises
        TrainConfigError."""
        for row in self.rows:
            as_config(self.training(row), load_config)
        as_config(self.lm, load_lm_config)

    def training(self, row: RowSpec) -> dict[str, Any]:
        """The row's training config, as values that `train.config.make_config` takes."""
        values = dict(self.common)
        for use in row.use:
            values = merged(values, self.settings[use])
        return merged(values, row.set)


def in_order(rows: Sequence[RowSpec]) -> list[RowSpec]:
    """The same rows as given, but each after the one that it starts from, where that is among them.

    Raises ExperimentError for rows that start from each other.
    """
    ordered: list[RowSpec] = []
    left = list(rows)
    while left:
        waiting = {row.name for row in left}
        ready = [row for row in left if row.start not in waiting]
        if not ready:
            raise ExperimentError(f"these rows start from each other: {', '.join(row.name for row in left)}")
        ordered.append(ready[0])
        left.remove(ready[0])
    return ordered


def as_config(values: Mapping[str, Any], load: Callable[[str], T]) -> T:
    """The config that `load` makes of these values as a YAML file, which may have a `base`."""
    import tempfile

    import yaml

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        return load(str(path))


def read_experiment(path: Path) -> Experiment:
    """An experiment from YAML. Raises ExperimentError, and TrainConfigError for unknown keys."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ExperimentError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("rows"), list):
        raise ExperimentError(f"{path} should hold `common`, `lm` and a list `rows`")
    return build(Experiment, values)
