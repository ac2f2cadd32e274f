"""Means over paired clips, their intervals, and means that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from eval.aggregate import bootstrap, summarize
from eval.metrics import Score


def scores(**values: float | None) -> dict[str, Score]:
    return {key: Score(reason="why not") if value is None else Score(value) for key, value in values.items()}


def test_means_are_over_the_clips_that_every_model_has():
    summaries = summarize(
        {"x": scores(a=1.0, b=2.0, c=3.0, d=4.0, e=None), "y": scores(a=10.0, b=None, c=30.0, d=50.0, e=1.0)}
    )
    assert summaries["x"].mean == pytest.approx((1 + 3 + 4) / 3)
    assert summaries["y"].mean == pytest.approx((10 + 30 + 50) / 3)
    assert (summaries["x"].n, summaries["x"].failed) == (3, 1)
    assert (summaries["y"].n, summaries["y"].failed) == (3, 1)


def test_pairing_is_by_id_and_not_by_position():
    one, two = summarize({"x": scores(a=1.0, b=2.0, c=3.0, d=None), "y": scores(d=9.0, c=3.0, b=2.0, a=1.0)}).values()
    assert one.mean == two.mean == pytest.approx(2.0)


def test_a_model_that_fails_often_gets_no_mean_and_takes_no_clips_from_others():
    summaries = summarize({"x": scores(a=1.0, b=2.0, c=6.0), "y": scores(a=1.0, b=None, c=None)})
    assert summaries["y"].mean is None
    assert summaries["y"].refused == "2 of 3 clips have no value"
    assert summaries["x"].mean == pytest.approx(3.0)
    assert summaries["x"].n == 3


def test_no_common_clip_is_refused():
    x = {str(i): Score(1.0) for i in range(4)}
    y = {str(i): Score(1.0) for i in range(4, 8)}
    assert all(summary.mean is None and summary.n == 0 for summary in summarize({"x": x, "y": y}).values())


def test_one_clip_has_a_mean_and_no_interval():
    (summary,) = summarize({"x": scores(a=2.0)}).values()
    assert (summary.mean, summary.low, summary.high) == (2.0, None, None)


def test_the_interval_is_seeded_and_near_the_normal_one():
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    low, high = bootstrap(values)
    assert (low, high) == bootstrap(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
