"""The journal of a SALMon run: windows of pairs under every model (see `run_journal`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eval.coherence.likelihood import Cost
from eval.coherence.records import PairScore
from eval.run_journal import NAME, JournalError, RunJournal, discard, exists, identity_of

__all__ = ["NAME", "VERSION", "Batch", "Journal", "JournalError", "discard", "exists", "identity_of"]

VERSION = 1


@dataclass(frozen=True)
class Batch:
    """A finished window: each model's scores of the same pairs, and what they cost it."""

    scores: dict[str, list[PairScore]] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    @property
    def any_model(self) -> list[PairScore]:
        """One model's scores, to tell which pairs these are."""
        return next(iter(self.scores.values()), [])


class Journal(RunJournal[Batch]):
    """The journal in a run's folder, open for writing. A context manager; `batches` are those that stand in it."""

    version = VERSION
    kind = "salmon"

    @staticmethod
    def row_of(batch: Batch) -> dict[str, Any]:
        return {
            "scores": {model: [score.row() for score in scores] for model, scores in batch.scores.items()},
            "costs": {model: dataclasses.asdict(cost) for model, cost in batch.costs.items()},
        }

    @staticmethod
    def batch_of(row: Mapping[str, Any]) -> Batch:
        scores = {model: [PairScore.of_row(score) for score in scores] for model, scores in row["scores"].items()}
        return Batch(scores, {model: Cost(**cost) for model, cost in row["costs"].items()})
