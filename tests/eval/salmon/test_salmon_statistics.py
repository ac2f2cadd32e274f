"""Intervals and tests against scipy, against closed forms, and against what follows from symmetry."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from eval.salmon import accuracy


def points(*values: float | None) -> dict[str, float | None]:
    return {str(index): value for index, value in enumerate(values)}


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (7, 10), (100, 200), (199, 200), (200, 200)])
def test_wilson_is_scipys_where_nothing_ties(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert accuracy.wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_takes_halves_and_refuses_what_is_no_share():
    low = accuracy.wilson(7.5, 10)[0]
    assert accuracy.wilson(7, 10)[0] < low < accuracy.wilson(8, 10)[0]
    assert 1 - accuracy.wilson(2.5, 10)[1] == pytest.approx(low)
    for wrong in ((11, 10), (-1, 10), (0, 0)):
        with pytest.raises(ValueError, match="expected 0 <= right <= n"):
            accuracy.wilson(*wrong)


def test_chance_is_tested_from_both_sides_and_exactly():
    by_hand = 2 * sum(comb(10, k) for k in (9, 10)) / 2**10
    assert accuracy.chance_p(9, 1, 0) == pytest.approx(by_hand)
    assert accuracy.chance_p(1, 9, 0) == pytest.approx(by_hand)


def test_ties_are_split_and_count_towards_chance():
    assert accuracy.chance_p(0, 0, 200) == 1
    assert accuracy.chance_p(10, 0, 90) == pytest.approx(binomtest(55, 100).pvalue)
    # The odd one is nobody's.
    assert accuracy.chance_p(10, 0, 91) == pytest.approx(binomtest(55, 100).pvalue)
    assert accuracy.chance_p(10, 0, 0) < 0.01 < accuracy.chance_p(10, 0, 90)


def test_mcnemar_counts_only_pairs_that_differ():
    assert accuracy.mcnemar_p(0, 0) == 1
    assert accuracy.mcnemar_p(8, 0) == pytest.approx(2 / 2**8)
    assert accuracy.mcnemar_p(0, 8) == pytest.approx(2 / 2**8)
    assert accuracy.mcnemar_p(5, 5) == 1


def test_models_compare_on_the_pairs_that_all_have():
    both = {"a": points(1, 1, 1, 1, 0), "b": points(0, 0, 0.5, 1, None)}
    column = accuracy.columns({"p": both}, "a")["p"]
    a, b = column.accuracies["a"], column.accuracies["b"]
    assert (a.n, a.failed, a.accuracy, a.right, a.ties) == (4, 0, 1.0, 4, 0)
    assert (b.n, b.failed, b.accuracy, b.right, b.ties) == (4, 1, 0.375, 1, 1)
    compared = column.comparisons["b"]
    assert set(column.comparisons) == {"b"}
    assert (compared.n, compared.better, compared.worse) == (4, 0, 3)
    assert compared.difference == pytest.approx(-0.625)
    assert compared.low <= compared.difference <= compared.high
    assert compared.p_value == pytest.approx(2 / 2**3)


def test_a_model_that_mostly_failed_is_refused_and_takes_no_pairs_away():
    both = {"a": points(1, 1, 0, 1), "b": points(1, None, None, 1)}
    column = accuracy.columns({"p": both}, "b")["p"]
    assert column.accuracies["a"].n == 4
    assert column.accuracies["b"].accuracy is None
    assert column.accuracies["b"].refused == "2 of 4 pairs have no value"
    assert column.comparisons == {}


def test_p_values_are_adjusted_for_the_models_of_a_column():
    good, bad = points(*[1] * 9, 0), points(*[1, 0] * 5)
    alone = accuracy.columns({"p": {"a": good}}, None)["p"].accuracies["a"]
    three = accuracy.columns({"p": {"a": good, "b": bad, "c": bad}}, None)["p"].accuracies
    assert alone.p_adjusted == alone.p_value
    assert three["a"].p_value == alone.p_value
    assert three["a"].p_adjusted == pytest.approx(3 * alone.p_value)
    assert three["b"].p_adjusted == 1


def test_the_average_counts_each_part_once():
    parts = {"small": {"a": points(1, 1)}, "large": {"a": points(*[0, 1] * 50)}}
    by_part = accuracy.columns(parts, None)
    average = accuracy.average(parts, by_part, None).accuracies["a"]
    assert average.accuracy == pytest.approx(0.75)
    assert (average.n, average.right) == (102, 52)
    arms = [(one.accuracy - one.low) / 2 for one in (by_part[p].accuracies["a"] for p in parts)]
    assert average.accuracy - average.low == pytest.approx(np.hypot(*arms))


def test_the_average_of_one_size_of_parts_tests_as_all_pairs_together():
    parts = {name: {"a": points(*[1] * 66, *[0] * 34)} for name in "pqr"}
    average = accuracy.average(parts, accuracy.columns(parts, None), None).accuracies["a"]
    assert average.p_value < 0.001
    fair = {name: {"a": points(*[1] * 52, *[0] * 48)} for name in "pqr"}
    by_chance = accuracy.average(fair, accuracy.columns(fair, None), None).accuracies["a"]
    assert by_chance.p_value == pytest.approx(binomtest(156, 300).pvalue, abs=0.02)


def test_the_averages_tests_weigh_pairs_by_their_part():
    parts = {
        "small": {"a": points(1, 1), "b": points(0, 0)},
        "large": {"a": points(1, 1, 1, 0), "b": points(0, 0, 0, 1)},
    }
    average = accuracy.average(parts, accuracy.columns(parts, "b"), "b")
    # Both of the small part and at least three of the large one, or the reverse; without weights it were 14 of 64.
    assert average.accuracies["a"].p_value == pytest.approx(10 / 64)
    assert average.comparisons["a"].p_value == pytest.approx(10 / 64)


def test_the_average_splits_ties_as_its_parts_do():
    parts = {name: {"a": points(*[1] * 5, *[0.5] * 45)} for name in "pq"}
    average = accuracy.average(parts, accuracy.columns(parts, None), None).accuracies["a"]
    assert average.p_value == pytest.approx(binomtest(54, 98).pvalue, abs=0.05)
    none = {name: {"a": points(*[0.5] * 20)} for name in "pq"}
    assert accuracy.average(none, accuracy.columns(none, None), None).accuracies["a"].p_value == 1


def test_there_is_no_average_over_a_refused_part_but_a_comparison_of_the_others():
    parts = {
        "p": {"a": points(1, 0, 1, 1), "b": points(None, None, 1, 1), "c": points(0, 0, 0, 0)},
        "q": {"a": points(1, 1, 1, 1), "b": points(0, 0, 1, 1), "c": points(0, 0, 0, 0)},
    }
    average = accuracy.average(parts, accuracy.columns(parts, "a"), "a")
    assert average.accuracies["b"].refused == "refused for p"
    assert set(average.comparisons) == {"c"}
    compared = average.comparisons["c"]
    assert (compared.n, compared.better, compared.worse) == (8, 0, 7)
    assert compared.difference == pytest.approx(-0.875)
    assert compared.p_value == pytest.approx(2 / 2**7)


def test_reversed_pairs_mirror_everything():
    values = [1, 1, 1, 1, 0.5, 0, 1, 1]
    parts = {"p": {"a": points(*values)}, "q": {"a": points(*values[1:])}}
    mirrored = {
        name: {"a": {pair: 1 - value for pair, value in by_pair["a"].items()}} for name, by_pair in parts.items()
    }
    for make in (lambda given: accuracy.columns(given, None)["p"], lambda given: _average(given)):
        one, other = make(parts).accuracies["a"], make(mirrored).accuracies["a"]
        assert one.accuracy == pytest.approx(1 - other.accuracy)
        assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))
        assert one.p_value == pytest.approx(other.p_value)


def _average(parts):
    return accuracy.average(parts, accuracy.columns(parts, None), None)
