"""The metrics by name. A new one is a file with a METRIC, and a line here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from eval.metrics import mel, pesq_wb, stft, stoi
from eval.metrics.base import Metric, Score, Signal

METRICS: dict[str, Metric] = {module.METRIC.name: module.METRIC for module in (mel, stft, pesq_wb, stoi)}

__all__ = ["METRICS", "Metric", "Score", "Signal", "named"]


def named(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, in this order. Raises ValueError for a name that is not registered."""
    chosen = []
    for name in names:
        if name not in METRICS:
            near = difflib.get_close_matches(name, METRICS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"no metric is called {name!r}{hint} The metrics are: {', '.join(METRICS)}")
        chosen.append(METRICS[name])
    return tuple(chosen)
