"""How long a run will take, said once, when its first part has been measured."""

from __future__ import annotations

import sys
from typing import Protocol


class ProgressBar(Protocol):
    """What of a progress bar is used: a line can be written without tearing it."""

    def write(self, s: str, file: object) -> None:
        """Write a line."""


def about(seconds: float) -> str:
    """A duration as people say it: "40 seconds", "4 minutes", "2.5 hours"."""
    if seconds < 90:
        rounded = max(5, 5 * round(seconds / 5))
        return f"{rounded} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours < 10 else f"{round(hours)} hours"


class RunEstimate:
    """Says once on stderr how long `total` items take: "about 4 minutes for 120 clips x 3 codecs"."""

    def __init__(self, total: int, items: str, n_models: int, models: str, bar: ProgressBar, *, quiet: bool) -> None:
        """`items` and `models` are what is counted, in the plural."""
        self._total = total
        self._models = f"{n_models} {models if n_models != 1 else models.removesuffix('s')}"
        self._items = items
        self._bar = bar
        self._said = quiet

    def add(self, seconds: float, n_items: int, weight: float = 1.0) -> None:
        """`seconds` were needed for so many items, which are `weight` times as long as items are. Only the first call
        counts; nothing is said of a run that is done with it."""
        if self._said:
            return
        self._said = True
        if n_items and n_items < self._total:
            whole = seconds / n_items / weight * self._total
            self._bar.write(f"about {about(whole)} for {self._total} {self._items} x {self._models}", file=sys.stderr)
