"""Scoring a clip, in this process or in worker processes. Imports no torch, so that workers start fast."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from eval.harness import include
from eval.reconstruction.metrics import METRICS, Score, Signal

ClipScores = dict[str, dict[str, Score]]  # model -> metric -> score
# The row of the originals themselves: of them, only metrics with a floor are computed.
ORIGINALS = "originals"
DIED = Score(reason="the process that computed it died")
# Every worker has one core: more threads in each would only get in each other's way.
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}


@dataclass(frozen=True)
class Job:
    """A reference and what each model made of it: float32 (S,) at `rate` Hz, and the metrics to compute."""

    reference: np.ndarray
    rate: int
    estimates: Mapping[str, np.ndarray]
    metrics: tuple[str, ...]
    text: str | None = None
    lang: str | None = None

    def metrics_of(self, model: str) -> tuple[str, ...]:
        """The metrics that are computed of a model."""
        if model != ORIGINALS:
            return self.metrics
        return tuple(name for name in self.metrics if METRICS[name].has_floor)


def score(job: Job) -> ClipScores:
    """All metrics of all models on one clip; what they need of the reference is computed once."""
    reference = Signal(job.reference, job.rate, text=job.text, lang=job.lang)
    scores: ClipScores = {}
    for model, samples in job.estimates.items():
        estimate = reference if model == ORIGINALS else Signal(samples, job.rate)
        scores[model] = {name: METRICS[name].score(reference, estimate) for name in job.metrics_of(model)}
    return scores


class Scorer:
    """Scores jobs in `workers` processes, or in this one for 0. A context manager.

    A metric may take its process down with it (a fault in compiled code, memory that runs out). With workers, that
    costs this metric of this clip a reason, and nothing else.
    """

    def __init__(self, workers: int) -> None:
        if workers < 0:
            raise ValueError(f"expected 0 or more workers, got {workers}")
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(wait=kind is None)

    def start(self) -> None:
        """Start the workers, so that they import what they need while the first batch is reconstructed."""
        if self.workers and self._pool is None:
            # Forking a process that has torch's threads can hang the child; a fresh one cannot.
            context = multiprocessing.get_context("spawn")
            included = (include.places_of_metrics(),)
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_prepare, initargs=included)
            with _environment(_ONE_THREAD), _without_interrupts():
                for _ in range(self.workers):
                    self._pool.submit(_ready)

    def map(self, jobs: Sequence[Job]) -> Iterator[ClipScores]:
        """The scores of the jobs, in their order."""
        if not self.workers:
            yield from map(score, jobs)
            return
        futures = self._submit(jobs)
        for job, future in zip(jobs, futures, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:
                # Who broke it is not known: this job may only have been in the same pool.
                yield self._alone(job)

    def _submit(self, jobs: Sequence[Job]) -> list[Future[ClipScores]]:
        for attempt in (1, 2):
            self.start()
            assert self._pool is not None
            try:
                return [self._pool.submit(score, job) for job in jobs]
            except BrokenProcessPool:
                self._stop(wait=False)
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _alone(self, job: Job) -> ClipScores:
        """Score a job when nothing else runs; where its process dies, each model and metric by itself."""
        try:
            return self._once(job)
        except BrokenProcessPool:
            pass
        scores: ClipScores = {}
        for model, samples in job.estimates.items():
            scores[model] = {}
            for name in job.metrics_of(model):
                try:
                    part = self._once(replace(job, estimates={model: samples}, metrics=(name,)))
                    scores[model][name] = part[model][name]
                except BrokenProcessPool:
                    scores[model][name] = DIED
        return scores

    def _once(self, job: Job) -> ClipScores:
        (future,) = self._submit([job])
        try:
            return future.result()
        except BrokenProcessPool:
            self._stop(wait=False)
            raise

    def _stop(self, *, wait: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=True)
            self._pool = None


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started meanwhile; those that the user has set stay."""
    ours = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that are started meanwhile never hear of Ctrl-C, not even while they import; this one does, after."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(included: Sequence[str]) -> None:
    """What a worker does first: leave Ctrl-C to the main process, end when that one is killed, and read included
    metrics."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if included:
        from eval.reconstruction import metrics  # noqa: F401  the names that included metrics cannot take

        include.load(included)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _ready() -> None:
    """What a worker runs first; importing this module is the work."""
