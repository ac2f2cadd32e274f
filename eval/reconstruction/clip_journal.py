"""The journal of a reconstruction run: batches of clips through every codec (see harness/journal.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eval.harness.journal import RunJournal
from eval.reconstruction.clip_results import ClipResult, Usage

VERSION = 1


@dataclass(frozen=True)
class ClipBatch:
    """A finished batch: the results of every codec, and what each codec's coding cost, by codec; all of one split."""

    split: str
    results: list[ClipResult] = field(default_factory=list)
    usage: dict[str, Usage] = field(default_factory=dict)


class ClipJournal(RunJournal[ClipBatch]):
    """The journal in a run's folder, open for writing. A context manager; `batches` are those that stand in it."""

    version = VERSION

    @staticmethod
    def row_of(batch: ClipBatch) -> dict[str, Any]:
        return {
            "split": batch.split,
            "results": [result.row() for result in batch.results],
            "usage": {model: usage.row() for model, usage in batch.usage.items()},
        }

    @staticmethod
    def batch_of(row: Mapping[str, Any]) -> ClipBatch:
        results = [ClipResult.of_row(result) for result in row["results"]]
        return ClipBatch(row["split"], results, {model: Usage.of_row(usage) for model, usage in row["usage"].items()})
