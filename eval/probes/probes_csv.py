"""Probes as CSV, from what results.json holds: numbers as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eval.harness.table_files import csv_text, estimate_columns

_TASK = ("dataset", "n", "groups", "folds", "chance", "interval_over")
_REPRESENTATION = ("dimensions", "frame_rate")


def table_csv(document: Mapping[str, Any]) -> str:
    """A row for each task and representation, the majority class among them."""
    return csv_text(_rows(document))


def _rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    tasks = {task["task"]: task for task in document["tasks"]}
    representations = {each["representation"]: each for each in document["representations"]}
    for score in document["scores"]:
        task = tasks[score["task"]]
        row = {key: score[key] for key in ("task", "representation")}
        row |= estimate_columns("accuracy", score["accuracy"], ("value", "low", "high"))
        row |= {key: task[key] for key in _TASK} | {"classes": len(task["classes"]), "reason": score["reason"]}
        yield row | {key: representations.get(score["representation"], {}).get(key) for key in _REPRESENTATION}
