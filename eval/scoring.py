"""Scoring a clip, in this process or in worker processes. Imports no torch, so that workers start fast."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from eval.metrics import METRICS, Score, Signal

ClipScores = dict[str, dict[str, Score]]  # model -> metric -> score


@dataclass(frozen=True)
class Job:
    """A reference and what each model made of it: float32 (S,) at `rate` Hz, and the metrics to compute."""

    reference: np.ndarray
    rate: int
    estimates: Mapping[str, np.ndarray]
    metrics: tuple[str, ...]


def score(job: Job) -> ClipScores:
    """All metrics of all models on one clip; what they need of the reference is computed once."""
    reference = Signal(job.reference, job.rate)
    scores: ClipScores = {}
    for model, samples in job.estimates.items():
        estimate = Signal(samples, job.rate)
        scores[model] = {name: METRICS[name].score(reference, estimate) for name in job.metrics}
    return scores


class Scorer:
    """Scores jobs in `workers` processes, or in this one for 0. A context manager."""

    def __init__(self, workers: int) -> None:
        if workers < 0:
            raise ValueError(f"expected 0 or more workers, got {workers}")
        self.workers = workers
        # Forking a process that has torch's threads can hang the child; a fresh one cannot.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, mp_context=context) if workers else None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def start(self) -> None:
        """Start the workers, so that they import what they need while the first batch is reconstructed."""
        if self._pool is not None:
            for _ in range(self.workers):
                self._pool.submit(_ready)

    def map(self, jobs: Sequence[Job]) -> Iterator[ClipScores]:
        """The scores of the jobs, in their order."""
        return self._pool.map(score, jobs) if self._pool is not None else map(score, jobs)


def _ready() -> None:
    """What a worker runs first; importing this module is the work."""
