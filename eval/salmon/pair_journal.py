"""The journal of a SALMon run: windows of pairs under every model (see harness/journal.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eval.harness.journal import RunJournal
from eval.salmon.likelihood import Cost
from eval.salmon.pair_scores import PairScore

VERSION = 1


@dataclass(frozen=True)
class PairBatch:
    """A finished window: each model's scores of the same pairs, and what they cost it."""

    scores: dict[str, list[PairScore]] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    @property
    def any_model(self) -> list[PairScore]:
        """One model's scores, to tell which pairs these are."""
        return next(iter(self.scores.values()), [])


class PairJournal(RunJournal[PairBatch]):
    """The journal in a run's folder, open for writing. A context manager; `batches` are those that stand in it."""

    version = VERSION
    kind = "salmon"

    @staticmethod
    def row_of(batch: PairBatch) -> dict[str, Any]:
        return {
            "scores": {model: [score.row() for score in scores] for model, scores in batch.scores.items()},
            "costs": {model: dataclasses.asdict(cost) for model, cost in batch.costs.items()},
        }

    @staticmethod
    def batch_of(row: Mapping[str, Any]) -> PairBatch:
        scores = {model: [PairScore.of_row(score) for score in scores] for model, scores in row["scores"].items()}
        return PairBatch(scores, {model: Cost(**cost) for model, cost in row["costs"].items()})
