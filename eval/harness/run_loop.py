"""The loop of a run: items in windows that are each complete before the next begins, resumed by a journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any, TypeVar

from tqdm import tqdm

from eval.harness.duration import RunEstimate
from eval.harness.journal import JournalError

_Item = TypeVar("_Item")


def check_plan(batch_size: int, names: Sequence[str]) -> None:
    """Raise ValueError for a batch of nothing, or for two models of one name."""
    if batch_size < 1:
        raise ValueError(f"expected a batch size of 1 or more, got {batch_size}")
    if len(set(names)) < len(names):
        raise ValueError(f"models are told apart by name, got {list(names)}; give one another by NEW_NAME=...")


def n_items(sizes: Iterable[int], limit: int | None) -> int:
    """How many items a run has, at most `limit` of each size."""
    return sum(size if limit is None else min(size, limit) for size in sizes)


@contextlib.contextmanager
def progress(
    total: int, n_done: int, unit: str, n_models: int, models: str, *, shown: bool
) -> Iterator[tuple[tqdm[Any], RunEstimate]]:
    """A bar of `total` items, called `unit`, and an estimate, said once, of how long those that are not done take."""
    with tqdm(total=total, unit=unit, desc=f"{unit}s", disable=not shown, leave=False) as bar:
        yield bar, RunEstimate(total - n_done, f"{unit}s", n_models, models, bar, quiet=not shown)


def windows(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in order, `size` at a time; the last window may be shorter."""
    window: list[_Item] = []
    for item in items:
        window.append(item)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window


def by_length(items: Iterable[_Item], length: Callable[[_Item], float], size: int) -> Iterator[list[_Item]]:
    """Batches of about equally long items, the longest first."""
    ordered = sorted(items, key=lambda item: -length(item))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def check_none_gone(done: Set[tuple[str, str]], seen: Iterable[tuple[str, str]], source: str, items: str) -> None:
    """Raise JournalError where the journal has items, by split or part and id, that the data no longer has."""
    gone = sorted(done - set(seen))
    if gone:
        raise JournalError(f"the {source} no longer has {len(gone)} {items} of this run, {gone[0]}; begin a new run")
