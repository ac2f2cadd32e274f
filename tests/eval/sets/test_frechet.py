"""The distance of sets: closed forms, what the correction and the interval are worth, and too few items."""

from __future__ import annotations

import numpy as np
import pytest

from eval.sets.frechet import MINIMUM, Moments, frechet, halves, set_distance


def gaussian(mean, covariance):
    return Moments(100, np.asarray(mean, np.float64), np.asarray(covariance, np.float64))


def drawn(n, dimensions=6, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, dimensions)) * scale + shift


def alone(n):
    """Each item a recording by itself."""
    return [str(index) for index in range(n)]


def test_one_dimension_is_the_difference_of_means_and_of_deviations():
    """(m - m')^2 + (s - s')^2 = 9 + (2 - 5)^2."""
    assert frechet(gaussian([1.0], [[4.0]]), gaussian([4.0], [[25.0]])) == pytest.approx(18.0)


def test_covariances_that_do_not_commute():
    """The trace of (C C')^(1/2) of two 2 x 2 matrices is sqrt(tr(C C') + 2 sqrt(det(C C')))."""
    one, other = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 4.0]])
    root = np.sqrt(np.trace(one @ other) + 2 * np.sqrt(np.linalg.det(one @ other)))
    expected = 1 + 4 + np.trace(one) + np.trace(other) - 2 * root
    assert frechet(gaussian([0, 0], one), gaussian([1, 2], other)) == pytest.approx(expected)
    assert frechet(gaussian([1, 2], other), gaussian([0, 0], one)) == pytest.approx(expected)


def test_equal_sets_are_at_zero_whether_or_not_there_are_enough_items():
    for n, dimensions in ((60, 6), (20, 40)):
        items = drawn(n, dimensions)
        distance = set_distance([items], items, [alone(n)], alone(n))
        assert distance.value == pytest.approx(0, abs=1e-9)
        assert distance.low <= 0 <= distance.high + 1e-9


def test_it_rises_with_a_shift_and_with_a_spread():
    true = drawn(200, seed=1)
    shifts = [frechet(Moments.of(drawn(200, shift=shift)), Moments.of(true)) for shift in (0, 0.5, 1, 2)]
    assert shifts == sorted(shifts)
    assert shifts[3] - shifts[0] > 6 * 2  # 6 dimensions, each moved by 2: 24, but for chance
    spreads = [frechet(Moments.of(drawn(200, scale=scale)), Moments.of(true)) for scale in (1, 2, 4)]
    assert spreads == sorted(spreads)


def test_the_correction_takes_the_bias_away_and_the_interval_holds_the_truth():
    """24 dimensions and 60 items: the plain distance of two sets of one kind is far above 0, of which it is an
    estimate; and that of a shift of 1 in each is far above 24."""
    plain, corrected, held = [], [], 0
    for seed in range(12):
        true, shifted = drawn(60, 24, 2 * seed), drawn(60, 24, 2 * seed + 1, shift=1.0)
        distance = set_distance([shifted], true, [alone(60)], alone(60))
        plain.append(distance.value)
        corrected.append(distance.corrected)
        held += distance.low <= 24 <= distance.high
    assert np.mean(plain) > 28
    assert np.mean(corrected) == pytest.approx(24, abs=1.5)
    assert held >= 9


def test_sets_of_several_seeds_count_by_their_mean():
    true, near, far = drawn(80, seed=1), drawn(80, seed=2), drawn(80, seed=3, shift=3.0)
    groups = alone(80)
    one, other, both = (set_distance(sets, true, [groups] * len(sets), groups) for sets in ([near], [far], [near, far]))
    assert both.value == pytest.approx((one.value + other.value) / 2)
    assert both.corrected == pytest.approx((one.corrected + other.corrected) / 2)


def test_items_of_one_recording_are_left_out_together():
    """Each item five times: as recordings by themselves they would seem five times as many, and the interval short."""
    true, other = drawn(40, 3, 1), drawn(40, 3, 2, shift=1.0)
    repeated = [np.repeat(items, 5, axis=0) for items in (other, true)]
    together = np.repeat(alone(40), 5).tolist()
    right = set_distance([repeated[0]], repeated[1], [together], together)
    wrong = set_distance([repeated[0]], repeated[1], [alone(200)], alone(200))
    assert right.high - right.low > 1.5 * (wrong.high - wrong.low)
    assert (right.n, right.n_true, right.groups) == (200, 200, 40)


def test_halves_of_one_set_are_at_zero_but_for_chance_and_share_no_recording():
    floors = [halves(drawn(160, 8, seed), np.repeat(alone(80), 2).tolist()) for seed in range(16)]
    plain, corrected = (np.array([getattr(floor, name) for floor in floors]) for name in ("value", "corrected"))
    assert plain.min() > 0.3
    assert abs(corrected.mean()) < 0.25 * plain.mean()
    assert (floors[0].n, floors[0].n_true, floors[0].groups) == (80, 80, 80)


def test_as_many_items_as_dimensions_are_shrunk_and_said():
    assert Moments.of(drawn(41, 40)).shrinkage == 0
    moments = Moments.of(drawn(40, 40))
    assert 0 < moments.shrinkage <= 1
    assert np.linalg.eigvalsh(moments.covariance).min() > 0
    # The shrinkage keeps the total variance.
    assert np.trace(moments.covariance) == pytest.approx(np.trace(np.cov(drawn(40, 40).T, bias=True)))
    # 42 items are enough of themselves, but not with a fold of them left out.
    assert set_distance([drawn(42, 40, 1)], drawn(42, 40), [alone(42)], alone(42)).shrinkage > 0


def test_the_shrinkage_is_that_of_ledoit_and_wolf():
    """By the sums of their article, an item at a time."""
    items = drawn(20, 30) * np.linspace(0.2, 3, 30)
    centred = items - items.mean(0)
    sample = centred.T @ centred / 20
    target = np.trace(sample) / 30 * np.eye(30)
    noise = sum(np.sum((np.outer(x, x) - sample) ** 2) for x in centred) / 20**2
    assert Moments.of(items).shrinkage == pytest.approx(min(1, noise / np.sum((sample - target) ** 2)))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (drawn(MINIMUM - 1), f"at least {MINIMUM} items"),
        (drawn(20)[:, 0], "as \\(N, D\\)"),
        (np.full((20, 2), np.nan), "finite"),
    ],
)
def test_what_is_no_set_is_an_error(items, message):
    with pytest.raises(ValueError, match=message):
        Moments.of(items)


def test_few_recordings_or_items_without_one_are_errors():
    items = drawn(60)
    with pytest.raises(ValueError, match="at least 4 recordings, got 3"):
        set_distance([items], items, [["a", "b", "c"] * 20], ["a", "b", "c"] * 20)
    with pytest.raises(ValueError, match="a group for each item"):
        set_distance([items], items, [alone(59)], alone(60))
    with pytest.raises(ValueError, match="at least one set"):
        set_distance([], items, [], alone(60))
