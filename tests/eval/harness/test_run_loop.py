"""The loop's parts: windows, batches of one length, and what a journal no longer fits."""

from __future__ import annotations

import pytest

from eval.harness import run_loop
from eval.harness.journal import JournalError


@pytest.mark.parametrize(("n", "expected"), [(0, []), (3, [[0, 1, 2]]), (7, [[0, 1, 2], [3, 4, 5], [6]])])
def test_windows_hold_everything_in_order(n, expected):
    assert list(run_loop.windows(range(n), 3)) == expected


def test_a_window_is_given_before_the_next_item_is_read():
    read = []
    items = (read.append(i) or i for i in range(10))
    assert next(run_loop.windows(items, 2)) == [0, 1]
    assert read == [0, 1]


def test_batches_begin_with_the_longest_and_keep_the_order_of_equals():
    assert list(run_loop.by_length(["a", "ccc", "b", "dd"], len, 3)) == [["ccc", "dd", "a"], ["b"]]


def test_items_are_counted_up_to_the_limit_of_each_part():
    assert run_loop.n_items([5, 1, 3], None) == 9
    assert run_loop.n_items([5, 1, 3], 2) == 5


def test_what_the_journal_has_and_the_data_no_longer_has_ends_the_run():
    done = {("Speech", "a"): 1, ("Speech", "b"): 2}
    run_loop.check_none_gone(done.keys(), [("Speech", "b"), ("Speech", "a"), ("Music", "c")], "data set", "clips")
    with pytest.raises(JournalError, match=r"the data set no longer has 1 clips of this run, \('Speech', 'b'\)"):
        run_loop.check_none_gone(done.keys(), [("Speech", "a")], "data set", "clips")


@pytest.mark.parametrize(
    ("size", "names", "said"), [(0, ["a"], "batch size of 1"), (1, ["a", "a"], "told apart by name")]
)
def test_a_plan_that_cannot_be_run_is_refused(size, names, said):
    with pytest.raises(ValueError, match=said):
        run_loop.check_plan(size, names)
