"""Scores from worker processes are those of this process, and a worker that dies costs one metric of one clip."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import pytest

from eval.reconstruction import scoring
from eval.reconstruction.metrics import METRICS, Score
from eval.reconstruction.scoring import Job, Scorer, score


@pytest.fixture
def jobs(speech):
    half = np.float32(0.5)
    return [Job(clip.samples, clip.rate, {"x": clip.samples * half}, ("stft", "stoi")) for clip in speech[:3]]


def test_workers_give_what_this_process_gives(jobs):
    with Scorer(2) as scorer:
        scorer.start()
        assert list(scorer.map(jobs)) == [score(job) for job in jobs]


def test_the_reference_is_the_same_signal_for_all_models(speech, monkeypatch):
    """What metrics derive of the reference is kept by it, so that it is worked on once."""
    references = []
    compute = METRICS["stft"].compute
    watched = replace(METRICS["stft"], compute=lambda ref, est: references.append(ref) or compute(ref, est))
    monkeypatch.setitem(METRICS, "stft", watched)
    score(Job(speech[0].samples, speech[0].rate, {"a": speech[0].samples, "b": speech[0].samples}, ("stft",)))
    assert len(references) == 2
    assert references[0] is references[1]


def test_a_worker_that_dies_costs_one_metric_of_one_clip(jobs, monkeypatch):
    """The worker is made to die as a fault in compiled code would have it: without a word."""
    deadly = Job(jobs[1].reference, jobs[1].rate, jobs[1].estimates, ("stft", "deadly"))
    with Scorer(2) as scorer:
        monkeypatch.setattr(scoring, "score", _deadly_score)
        first, middle, last = scorer.map([jobs[0], deadly, jobs[2]])
    assert first == score(jobs[0])
    assert last == score(jobs[2])
    assert middle["x"]["stft"].value is not None
    assert middle["x"]["deadly"] == Score(reason="the process that computed it died")


def _deadly_score(job: Job) -> scoring.ClipScores:
    if "deadly" in job.metrics:
        os._exit(11)
    return score(job)


def test_threads_of_workers_are_one_and_the_callers_environment_is_kept(monkeypatch):
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with Scorer(1) as scorer:
        scorer.start()
        assert scorer._pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
        assert scorer._pool.submit(os.getenv, "MKL_NUM_THREADS").result() == "7"
    assert "OMP_NUM_THREADS" not in os.environ


def test_leaving_by_an_error_does_not_wait_for_what_was_queued():
    start = time.monotonic()

    def interrupted():
        with Scorer(1) as scorer:
            scorer.start()
            for _ in range(50):
                scorer._pool.submit(time.sleep, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - start < 20


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(ValueError, match="expected 0 or more workers, got -1"):
        Scorer(-1)
