"""A task of linear probes as a command line gives it: a data set, and the columns with its labels and groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from soundcodec_llmcodec.data import DataRow
from soundcodec_llmcodec.data.rows import as_text
from soundcodec_llmcodec.nearest import did_you_mean

FOLDS = 5
FORM = "NAME=DATASET,label=COLUMN[,group=COLUMN][,where=COLUMN:VALUE][,folds=N][,min_clips=N]"
_KEYS = ("label", "group", "where", "folds", "min_clips")
# What every row has, whatever its data set's columns are.
_OF_ROWS = ("id", "split")


class ProbeError(ValueError):
    """A task that cannot be meant, or whose data cannot be classified; the message says what to do."""


@dataclass(frozen=True)
class TaskColumn:
    """A column as text, or the part of it that `pattern` matches: its first group, or the whole match."""

    name: str
    pattern: str | None = None

    @classmethod
    def parse(cls, text: str) -> TaskColumn:
        """ "COLUMN" or "COLUMN~PATTERN". Raises ProbeError for a pattern that is no regular expression."""
        name, separator, pattern = text.partition("~")
        if not name or (separator and not pattern):
            raise ProbeError(f"expected COLUMN or COLUMN~PATTERN, got {text!r}")
        try:
            re.compile(pattern)
        except re.error as error:
            raise ProbeError(f"{pattern!r} is no regular expression: {error}") from error
        return cls(name, pattern or None)

    def __str__(self) -> str:
        return self.name if self.pattern is None else f"{self.name}~{self.pattern}"

    def of(self, row: DataRow) -> str | None:
        """The row's value; None where it has none, or the pattern does not match."""
        value = {"id": row.clip_id, "split": row.split}.get(self.name) or as_text(row.columns.get(self.name))
        if value is None or self.pattern is None:
            return value
        match = re.search(self.pattern, value)
        if match is None:
            return None
        return match[1] if match.re.groups else match[0]


@dataclass(frozen=True)
class ProbeTask:
    """Which clips of a data set are classified by which column.

    Clips of one `group` are never on both sides of a fold. `where` are (column, value) pairs: a clip is taken that has,
    for each column named, one of the values named. Classes of fewer than `min_clips` clips are left out.
    """

    name: str
    dataset: str
    label: TaskColumn
    group: TaskColumn | None = None
    where: tuple[tuple[str, str], ...] = ()
    folds: int = FOLDS
    min_clips: int = 1

    def columns(self) -> list[str]:
        """The columns that the data set has to have."""
        group = [] if self.group is None else [self.group.name]
        names = [self.label.name, *group, *(name for name, _ in self.where)]
        return [name for name in dict.fromkeys(names) if name not in _OF_ROWS]

    def takes(self, row: DataRow) -> bool:
        """Whether `where` holds for the row."""
        values: dict[str, set[str]] = {}
        for name, value in self.where:
            values.setdefault(name, set()).add(value)
        return all(TaskColumn(name).of(row) in allowed for name, allowed in values.items())


def parse(text: str) -> ProbeTask:
    """The task of `FORM`. Raises ProbeError."""
    name, separator, rest = text.partition("=")
    dataset, *settings = re.split(r",(?=\w+=)", rest)
    if not separator or not name.strip() or not dataset:
        raise ProbeError(f"expected {FORM}, got {text!r}")
    by_key: dict[str, list[str]] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in _KEYS:
            raise ProbeError(f"task {name!r} has an unknown key {key!r}{did_you_mean(key, _KEYS)}; expected {FORM}")
        if not value:
            raise ProbeError(f"task {name!r}: {key}= names nothing; expected {FORM}")
        by_key.setdefault(key, []).append(value)
    twice = [key for key, values in by_key.items() if len(values) > 1 and key != "where"]
    if twice or "label" not in by_key:
        problem = f"{twice[0]}= more than once" if twice else "no label=COLUMN"
        raise ProbeError(f"task {name!r} has {problem}; expected {FORM}")
    return ProbeTask(
        name.strip(),
        dataset,
        TaskColumn.parse(by_key["label"][0]),
        TaskColumn.parse(by_key["group"][0]) if "group" in by_key else None,
        tuple(_condition(name, value) for value in by_key.get("where", ())),
        _number(name, "folds", by_key, FOLDS, least=2),
        _number(name, "min_clips", by_key, 1, least=1),
    )


def _condition(task: str, text: str) -> tuple[str, str]:
    column, separator, value = text.partition(":")
    if not separator or not column or not value:
        raise ProbeError(f"task {task!r}: expected where=COLUMN:VALUE, got {text!r}")
    return column, value


def _number(task: str, key: str, by_key: dict[str, list[str]], default: int, least: int) -> int:
    if key not in by_key:
        return default
    (text,) = by_key[key]
    if not text.isdecimal() or int(text) < least:
        raise ProbeError(f"task {task!r}: {key} takes a whole number of {least} or more, got {text!r}")
    return int(text)


def check_names(tasks: Sequence[ProbeTask]) -> None:
    """Raise ProbeError for two tasks of one name, or a name that no table can hold."""
    names = [task.name for task in tasks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProbeError(f"two tasks are called {', '.join(twice)}; give one another name: NAME=DATASET,...")
    odd = next((name for name in names if "|" in name or not name.isprintable()), None)
    if odd is not None:
        raise ProbeError(f"the task's name {odd!r} cannot stand in a table; give it another")
