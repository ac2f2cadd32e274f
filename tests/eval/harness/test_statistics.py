"""Means over paired clips, their intervals, means that are refused, and comparisons with a baseline."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats

from eval.harness.statistics import bootstrap, column, holm, sign_flip_p
from eval.reconstruction.metrics import Score


def scores(**values: float | None) -> dict[str, Score]:
    return {key: Score(reason="why not") if value is None else Score(value) for key, value in values.items()}


def summaries(by_model):
    return column(by_model).summaries


def test_means_are_over_the_clips_that_every_model_has():
    made = summaries(
        {
            "x": scores(a=1.0, b=2.0, c=3.0, d=4.0, e=None, f=0.0, g=0.0, h=0.0),
            "y": scores(a=10.0, b=None, c=30.0, d=50.0, e=1.0, f=0.0, g=0.0, h=0.0),
        }
    )
    assert made["x"].mean == pytest.approx((1 + 3 + 4) / 6)
    assert made["y"].mean == pytest.approx((10 + 30 + 50) / 6)
    assert (made["x"].n, made["x"].failed) == (6, 1)
    assert (made["y"].n, made["y"].failed) == (6, 1)


def test_pairing_is_by_id_and_not_by_position():
    one, two = summaries({"x": scores(a=1.0, b=2.0, c=3.0, d=None), "y": scores(d=9.0, c=3.0, b=2.0, a=1.0)}).values()
    assert one.mean == two.mean == pytest.approx(2.0)


def test_a_model_that_fails_often_gets_no_mean_and_takes_no_clips_from_others():
    made = summaries({"x": scores(a=1.0, b=2.0, c=6.0), "y": scores(a=1.0, b=None, c=None)})
    assert made["y"].mean is None
    assert made["y"].refused == "2 of 3 clips have no value"
    assert made["x"].mean == pytest.approx(3.0)
    assert made["x"].n == 3


def test_a_small_remainder_is_refused():
    """Each of five models fails on a fifth of the clips, and hardly any clip is left that all have."""
    models = {
        str(m): {str(i): Score(reason="no") if i // 20 == m and i != 99 else Score(1.0) for i in range(100)}
        for m in range(5)
    }
    made = summaries(models)
    assert {summary.refused for summary in made.values()} == {"only 1 of 100 clips have a value from every model"}


def test_no_common_clip_is_refused():
    x = {str(i): Score(1.0) for i in range(4)}
    y = {str(i): Score(1.0) for i in range(4, 8)}
    assert all(summary.mean is None and summary.n == 0 for summary in summaries({"x": x, "y": y}).values())


def test_one_clip_has_a_mean_and_no_interval():
    (summary,) = summaries({"x": scores(a=2.0)}).values()
    assert (summary.mean, summary.low, summary.high) == (2.0, None, None)


def test_the_interval_is_seeded_and_near_the_normal_one():
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    low, high = bootstrap(values)
    assert (low, high) == bootstrap(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_weights_make_the_mean_that_of_all_words():
    """Two errors in four words and none in twelve are two in sixteen, not a mean of two rates."""
    words = {"x": {"a": Score(0.5, weight=4.0), "b": Score(0.0, weight=12.0)}}
    (summary,) = summaries(words).values()
    assert summary.mean == pytest.approx(2 / 16)
    assert 0.0 <= summary.low <= summary.mean <= summary.high <= 0.5


def test_a_difference_is_paired():
    """Clips differ far more than the models do; on the same clips the small difference is plain."""
    rng = np.random.default_rng(0)
    level = rng.normal(0.0, 10.0, 40)
    x, y = ({str(i): Score(float(v)) for i, v in enumerate(level + by)} for by in (0.0, 0.1 + 0.01 * rng.random(40)))
    compared = column({"x": x, "y": y}, "x").comparisons
    assert set(compared) == {"y"}
    assert compared["y"].difference == pytest.approx(0.105, abs=0.01)
    assert 0.09 < compared["y"].low < compared["y"].high < 0.12
    assert compared["y"].p_value < 0.001
    assert column({"x": x, "y": y}).comparisons == {}


def test_a_refused_model_or_baseline_is_not_compared():
    x, y = scores(a=1.0, b=2.0, c=3.0), scores(a=1.0, b=None, c=None)
    assert column({"x": x, "y": y}, "x").comparisons == {}
    assert column({"x": x, "y": y}, "y").comparisons == {}


def test_few_differences_are_flipped_in_all_ways():
    differences = np.array([[1.0], [2.0], [-0.5], [3.0]])
    flips = [abs(np.dot(signs, differences[:, 0])) for signs in itertools.product((-1, 1), repeat=4)]
    assert sign_flip_p(differences)[0] == np.mean([flip >= 5.5 for flip in flips]) == 0.25
    # Five clips cannot say more than two of 32 ways, however large the difference.
    assert sign_flip_p(np.full((5, 1), 100.0))[0] == 2 / 32


def test_many_differences_agree_with_scipys_permutation_test():
    rng = np.random.default_rng(1)
    differences = rng.normal(0.12, 1.0, (200, 3))
    found = sign_flip_p(differences)
    assert np.array_equal(found, sign_flip_p(differences))
    for k in range(3):
        reference = scipy.stats.permutation_test(
            (differences[:, k], np.zeros(200)),
            lambda a, b, axis: (a - b).mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=9999,
            rng=np.random.default_rng(2),
        )
        assert found[k] == pytest.approx(reference.pvalue, abs=0.02)


def test_no_difference_is_no_evidence():
    assert sign_flip_p(np.zeros((30, 2))).tolist() == [1.0, 1.0]


def test_holms_adjustment():
    assert holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
