"""What a suite is to the harness: parts of pairs, streamed, so that a suite need not fit into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CONSISTENT, INCONSISTENT = "positive", "negative"


class SuiteError(ValueError):
    """A suite that cannot be found, or is not of the expected shape."""


@dataclass(frozen=True, eq=False)
class PairedRecording:
    """A recording: samples float32 (S,) at `rate` Hz (channels averaged), or the `problem` that made it unreadable.

    `digest` is the SHA-256 (hex) of the stored audio.
    """

    samples: np.ndarray
    rate: int
    digest: str
    problem: str | None = None

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, eq=False)
class Pair:
    """A coherent recording and one that is not; `about` is what the suite tells of how it was made, JSON-ready."""

    part: str
    pair_id: str
    positive: PairedRecording
    negative: PairedRecording
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """A suite: what it is called, its parts with their number of pairs, and a function that starts over a part's pairs.

    `synthetic` ones are not for reporting. `revision` names its version where it has one.
    """

    name: str
    label: str
    synthetic: bool
    sizes: Mapping[str, int]
    read: Callable[[str], Iterable[Pair]]
    revision: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts' names in the suite's order."""
        return tuple(self.sizes)

    def pairs(self, part: str, limit: int | None = None) -> Iterator[Pair]:
        """The part's pairs in order, at most `limit`. Raises SuiteError for two pairs with one id."""
        seen: set[str] = set()
        for index, pair in enumerate(self.read(part)):
            if limit is not None and index >= limit:
                return
            if pair.pair_id in seen:
                raise SuiteError(f"two pairs of {self.label} {part} have the id {pair.pair_id!r}")
            seen.add(pair.pair_id)
            yield pair


def fingerprint(pairs: Iterable[tuple[str, str, str, str]]) -> str:
    """SHA-256 (hex) over (part, id, digest of the positive, of the negative) of the pairs in any order."""
    return hashlib.sha256(json.dumps(sorted(pairs)).encode()).hexdigest()
