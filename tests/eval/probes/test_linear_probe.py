"""The probe: what it reads, what it cannot read, and that nothing of a fold's test clips is in what it learns."""

from __future__ import annotations

import sys

import numpy as np
import probe_sets as sets
import pytest

from eval.probes import linear_probe, probe_folds
from eval.probes.linear_probe import out_of_fold
from eval.probes.probe_folds import inner, split
from eval.probes.probe_scores import accuracy, difference, majority, resampled_units
from eval.probes.probe_task import ProbeError


def probed(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, folds: int = 5) -> float:
    parts = split(labels, groups, folds, seed=0)
    return float(np.mean(out_of_fold(features, labels, groups, parts, seed=0).labels == labels))


def test_classes_apart_are_told_apart_and_shuffled_labels_are_not():
    features, labels = sets.classes(90, 20, 3, distance=12)
    assert probed(features, labels) == 1.0
    shuffled = np.random.default_rng(1).permutation(labels)
    assert abs(probed(features, shuffled) - 1 / 3) < 0.15


def test_what_only_tells_groups_apart_is_worth_nothing_when_groups_are_held_out():
    """Every group has one class and a place of its own: known groups are found again, new ones are not."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 6)
    labels = np.array(["a", "b"])[rng.permutation(np.repeat([0, 1], 15))][groups]
    features = 5 * rng.standard_normal((30, 40))[groups] + rng.standard_normal((180, 40))
    assert probed(features, labels) > 0.95
    assert probed(features, labels, groups) < 0.75


@pytest.mark.parametrize("seed", [0, 1])
def test_no_group_is_on_both_sides_and_every_clip_is_measured_once(seed):
    groups = np.random.default_rng(seed).integers(0, 12, 100)
    labels = np.array(["a", "b", "c", "d"])[np.arange(100) % 4]
    parts = split(labels, groups, 4, seed)
    for part in parts:
        assert not set(groups[part.train]) & set(groups[part.test])
        assert not set(part.train) & set(part.test)
        for within in inner(labels[part.train], groups[part.train], seed):
            here = groups[part.train]
            assert not set(here[within.train]) & set(here[within.test])
    assert sorted(np.concatenate([part.test for part in parts])) == list(range(100))


def test_as_many_groups_as_folds_are_fixed_folds():
    groups = np.repeat(["fold 1", "fold 2", "fold 3"], 8)
    parts = split(np.array(["a", "b"] * 12), groups, 3, 0)
    assert sorted(set(groups[part.test].tolist()).pop() for part in parts) == ["fold 1", "fold 2", "fold 3"]
    assert [len(part.test) for part in parts] == [8, 8, 8]


def test_a_class_within_one_group_cannot_be_learnt():
    groups = np.repeat(np.arange(6), 5)
    labels = np.where(groups == 0, "alone", np.where(np.arange(30) % 2, "a", "b"))
    with pytest.raises(ProbeError, match=r"class 'alone' has 0 clips outside one of 3 folds.*too few groups"):
        split(labels, groups, 3, 0)


def test_a_folds_test_clips_change_nothing_of_what_is_learnt(monkeypatch):
    """Scaling, penalty and weights are those of the training clips: other test clips leave the probe as it was."""
    features, labels = sets.classes(60, 5, 3, distance=2)
    part = split(labels, None, 5, 0)[0]
    probes = []
    fitted = linear_probe._fitted
    monkeypatch.setattr(linear_probe, "_fitted", lambda *given: probes.append(fitted(*given)) or probes[-1])
    elsewhere = features.copy()
    elsewhere[part.test] = 1000 * elsewhere[part.test] + 50
    for version in (features, elsewhere):
        out_of_fold(version, labels, None, [part], 0)
    first, second = (probe.best_estimator_ for probe in probes)
    np.testing.assert_array_equal(first[0].mean_, features[part.train].astype(np.float64).mean(axis=0))
    np.testing.assert_array_equal(first[0].mean_, second[0].mean_)
    np.testing.assert_array_equal(first[0].scale_, second[0].scale_)
    np.testing.assert_array_equal(first[1].coef_, second[1].coef_)


def test_a_features_unit_does_not_matter():
    features, labels = sets.classes(60, 5, 3, distance=3)
    assert probed(features, labels) == probed(features * np.array([1e-4, 1, 1e3, 1, 10], np.float32), labels)


def test_the_majority_class_is_its_share():
    labels = np.array(["b"] * 6 + ["a"] * 3 + ["c"] * 1)
    constant = majority(labels)
    assert set(constant) == {"b"}
    assert accuracy(constant, labels, None).value == 0.6
    assert set(majority(np.array(["z", "y", "z", "y"]))) == {"y"}


def test_intervals_draw_groups_where_there_are_enough_of_them():
    """Clips of a group are right or wrong together, so that an interval over clips would be too narrow."""
    groups = np.repeat(np.arange(10), 20)
    labels = np.full(200, "a")
    predicted = np.where(groups < 5, "a", "b")
    over_groups, over_clips = accuracy(predicted, labels, groups), accuracy(predicted, labels, None)
    assert over_groups.value == over_clips.value == 0.5
    assert over_groups.high - over_groups.low > 3 * (over_clips.high - over_clips.low)
    two = np.repeat([0, 1], 100)
    assert (resampled_units(groups), resampled_units(two), resampled_units(None)) == ("groups", "clips", "clips")
    assert accuracy(predicted, labels, two) == over_clips


def test_a_difference_is_paired_clip_by_clip():
    """Equal shares that are right on the same clips differ by exactly nothing; on other clips they may by chance."""
    labels = np.array([0, 1] * 50)
    right_first = np.where(np.arange(100) < 60, labels, 1 - labels)
    right_last = np.where(np.arange(100) >= 40, labels, 1 - labels)
    same = difference(right_first, right_first, labels, None)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    other = difference(right_first, right_last, labels, None)
    assert other.value == 0
    assert other.low < -0.1 < 0.1 < other.high
    assert difference(labels, right_first, labels, None).value == pytest.approx(0.4)


def test_a_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"probing needs the package scikit-learn.*soundcodec-llmcodec\[eval\]"):
        probe_folds.require_sklearn()
