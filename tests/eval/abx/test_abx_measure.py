"""ABX: distances by hand, errors as the definition has them, and what a perfect and a random representation get."""

from __future__ import annotations

import math

import numpy as np
import pytest
import toy_items as toy

from eval.abx import abx_cells
from eval.abx.abx_estimates import difference, estimate, pair_errors
from eval.abx.abx_items import AbxItem
from eval.abx.item_distances import ItemFrames, distances, warped

EAST, NORTH, WEST = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([-1.0, 0.0])


def errors(items, frames, condition, most_speakers=5):
    plan = abx_cells.plan(items, condition, most_speakers, 0)
    cells = abx_cells.scored(plan, ItemFrames.of(frames))
    parts = (cells.part(mask) for mask in (cells.is_within, ~cells.is_within))
    return [estimate(part, len(plan.phones), len(plan.speakers), 20) for part in parts]


def test_distances_are_those_found_by_hand():
    items = [np.stack([EAST]), np.stack([EAST, NORTH]), np.stack([NORTH, NORTH, WEST]), np.zeros((1, 2))]
    result = distances(ItemFrames.of(items), np.arange(4), np.arange(4))
    # One frame beside two: both are on the path, 0 and 1/2 apart.
    assert result[0, 1] == pytest.approx((0 + 1 / 2) / 2)
    # E,N beside N,N,W. Straight on: E-N 1/2, N-N 0, N-W 1/2, three pairs.
    assert result[1, 2] == pytest.approx((1 / 2 + 0 + 1 / 2) / 3)
    assert result[0, 2] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    np.testing.assert_allclose(np.diag(result), [0, 0, 0, 0.5], atol=1e-6)
    np.testing.assert_allclose(result, result.T, atol=1e-6)


def test_of_steps_that_cost_the_same_the_diagonal_is_taken():
    # All costs 1: the diagonal path has 3 cells and costs 3, so the mean is 1; any other is dearer.
    lattice = np.ones((3, 3, 1, 1))
    assert warped(lattice, np.array([3]), np.array([3]))[0, 0] == 1.0
    # A free last row and first column: down and along costs 0 over five cells, whatever stands in the middle.
    lattice = np.ones((3, 3, 1, 1))
    lattice[:, 0] = lattice[2] = 0.0
    lattice[0, 0] = 3.0
    assert warped(lattice, np.array([3]), np.array([3]))[0, 0] == pytest.approx(3 / 4)


def test_many_items_have_the_distances_of_few():
    rng = np.random.default_rng(0)
    items = [rng.standard_normal((int(rng.integers(1, 12)), 4)) for _ in range(80)]
    frames = ItemFrames.of(items)
    whole = distances(frames, np.arange(80), np.arange(80))
    for first, second in rng.integers(0, 80, (40, 2)):
        assert whole[first, second] == pytest.approx(toy.distance(items[first], items[second]), abs=1e-6)
        alone = distances(frames, np.array([first]), np.array([second]))
        assert whole[first, second] == pytest.approx(float(alone[0, 0]), abs=1e-6)


@pytest.mark.parametrize("condition", ["within", "any"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errors_are_those_of_the_definition(condition, seed):
    items = toy.items(seed)
    frames = toy.frames(items, seed)
    for own, across in zip(errors(items, frames, condition), (False, True), strict=True):
        expected = toy.error(items, frames, condition, across=across)
        assert own.error is not None
        assert own.error == pytest.approx(expected, abs=1e-9)


def test_a_perfect_representation_has_no_error_and_a_random_one_half():
    items = [AbxItem(str(n), 0.0, 0.1, "abcd"[n % 4], "", "", "xyz"[n % 3]) for n in range(240)]
    axes = np.eye(4)
    perfect = [np.stack([axes["abcd".index(item.phone)]] * 3) for item in items]
    assert [own.error for own in errors(items, perfect, "any")] == [0.0, 0.0]
    rng = np.random.default_rng(0)
    random = [rng.standard_normal((3, 16)) for _ in items]
    for own in errors(items, random, "any"):
        assert own.error == pytest.approx(0.5, abs=0.02)
        assert own.low < 0.5 < own.high
    # The same for all: nothing is nearer, so every triplet is a tie.
    alike = [np.ones((2, 3)) for _ in items]
    assert [own.error for own in errors(items, alike, "any")] == [0.5, 0.5]


def test_within_speakers_only_one_speaker_counts():
    """Phones by another code for each speaker are perfect within, and no better than chance across."""
    items = [AbxItem(str(n), 0.0, 0.1, "ab"[n % 2], "", "", "xy"[n // 2 % 2]) for n in range(40)]
    axes = np.eye(4)
    frames = [axes[["ab".index(item.phone) + 2 * "xy".index(item.speaker)]] for item in items]
    within, across = errors(items, frames, "any")
    assert (within.error, across.error) == (0.0, 0.5)
    # 20 items a speaker, 10 of each phone: 2 speakers x 2 pairs x (10 x 9 x 10), and (10 x 10 x 10) across.
    assert (within.triplets, across.triplets) == (2 * 2 * 900, 2 * 2 * 1000)
    assert (within.pairs, within.speakers, across.speakers) == (2, 2, 2)


def test_items_are_compared_in_their_own_context():
    """Each context has its own pair of phones: without contexts there are four to tell apart, with them two."""
    items = [AbxItem(str(n), 0.0, 0.1, "abcd"[n % 4], "pq"[n % 4 // 2], "s", "x") for n in range(16)]
    plan = abx_cells.plan(items, "within", 5, 0)
    cells = abx_cells.scored(plan, ItemFrames.of(toy.frames(items)))
    assert {(plan.phones[a], plan.phones[b]) for a, b in zip(cells.a, cells.b, strict=True)} == {
        ("a", "b"),
        ("b", "a"),
        ("c", "d"),
        ("d", "c"),
    }


def test_x_is_of_so_many_other_speakers_drawn_the_same_each_time():
    items = [AbxItem(f"{n}", 0.0, 0.1, "ab"[n % 2], "", "", f"s{n // 2 % 8}") for n in range(32)]
    plans = [abx_cells.plan(items, "any", 3, seed) for seed in (0, 0, 1)]
    for block in plans[0].blocks:
        others = [phone for phone, x in zip(block.x_phones, block.x_speakers, strict=True) if x != block.speaker]
        assert sorted(others) == [0, 0, 0, 1, 1, 1]
    drawn = [[block.x_speakers for block in plan.blocks] for plan in plans]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_items_that_take_part_draw_the_same_when_they_are_read_back():
    """A draw does not change where those are left out that it left out."""
    drawn = np.random.default_rng(0)
    places = [("abc"[drawn.integers(3)], f"s{drawn.integers(20)}") for _ in range(40)]
    items = [AbxItem(f"{n}", 0.0, 0.1, phone, "", "", speaker) for n, (phone, speaker) in enumerate(places)]
    plan = abx_cells.plan(items, "any", 1, 0)
    kept = [items[place] for place in plan.used]
    assert len(kept) < len(items)

    def compared(a_plan, of):
        return [
            (
                [of[row].clip_id for row in block.rows],
                [a_plan.phones[phone] for phone in block.x_phones],
                [a_plan.speakers[speaker] for speaker in block.x_speakers],
            )
            for block in a_plan.blocks
        ]

    assert compared(abx_cells.plan(kept, "any", 1, 0), kept) == compared(plan, items)


def test_the_interval_is_seeded_and_paired():
    items = toy.items(3, 6)
    first, second = (errors(items, toy.frames(items, seed), "any") for seed in (0, 1))
    again = errors(items, toy.frames(items, 0), "any")
    assert (first[1].low, first[1].high) == (again[1].low, again[1].high)
    assert first[1].low <= first[1].error <= first[1].high
    compared = difference(second[1], first[1])
    assert compared.mean == pytest.approx(second[1].error - first[1].error)
    nothing = difference(first[1], again[1])
    assert (nothing.mean, nothing.low, nothing.high) == (0.0, 0.0, 0.0)


def test_one_speaker_has_no_interval_and_nothing_across():
    items = [AbxItem(str(n), 0.0, 0.1, "ab"[n % 2], "", "", "x") for n in range(8)]
    within, across = errors(items, toy.frames(items), "any")
    assert within.error is not None
    assert (within.low, across.error) == (None, None)


def test_pairs_of_phones_average_to_the_error():
    items = toy.items(1, 5)
    plan = abx_cells.plan(items, "within", 5, 0)
    cells = abx_cells.scored(plan, ItemFrames.of(toy.frames(items)))
    within = cells.part(cells.is_within)
    by_pair = pair_errors(within, 3, 3)
    assert math.fsum(by_pair.values()) / len(by_pair) == pytest.approx(estimate(within, 3, 3, 2).error)
