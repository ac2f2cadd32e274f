"""The metrics by name: the harness's own, which `eval.reconstruction.metrics` brings, and included ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath

from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from eval.harness.metric import Metric, Signal
from eval.harness.score import Score

METRICS: dict[str, Metric] = {}
# Where included metrics are from, by name.
PLACES: dict[str, str] = {}


def register_built_in(metrics: Iterable[Metric]) -> None:
    """Add metrics of the harness's own. Raises ValueError for a name that is taken."""
    for metric in metrics:
        if metric.name in METRICS:
            raise ValueError(f"there are two metrics called {metric.name!r}")
        METRICS[metric.name] = metric


def register(metric: Metric, place: str, digest: str) -> None:
    """Add a metric from a file of somebody's own, whose SHA-256 (hex) is its version; what it raises is a reason."""

    def compute(reference: Signal, estimate: Signal) -> Score:
        try:
            return metric.compute(reference, estimate)
        except FOREIGN_ERRORS as error:
            return Score(reason=described(error))

    source = metric.source or PurePath(place).name
    METRICS[metric.name] = replace(metric, source=source, version=int(digest[:12], 16), compute=compute)
    PLACES[metric.name] = place


def unregister(name: str) -> None:
    """Take an included metric out again."""
    del METRICS[name], PLACES[name]


def is_registered(metric: Metric) -> bool:
    """Whether it is one of the metrics itself, and not only of the same name."""
    return METRICS.get(metric.name) is metric
