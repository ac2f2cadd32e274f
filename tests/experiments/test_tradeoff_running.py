"""Stages of a row: done once, gone on with, refused where their settings are others, told when they fail."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from eval.harness import manifest
from experiments.tradeoff.running import Stage, recorded, run_row
from experiments.tradeoff.tradeoff_rows import ExperimentError

BROKEN = ("python3", "-c", "raise SystemExit('it is broken')")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "row"


def finished(folder: Path) -> dict[str, bool]:
    return {name: entry["finished"] for name, entry in recorded(folder).items()}


def writing(path: Path, calls: list[str], **options) -> Stage:
    """A stage named as the file that it writes, which notes each time that it is done."""
    return Stage(path.name, path, work=lambda: (calls.append(path.name), path.write_text("")), **options)


def test_a_stage_that_is_done_is_not_done_again_and_a_failure_is_told(folder):
    calls: list[str] = []
    stage = writing(folder / "made", calls)
    for _ in range(2):
        run_row([stage], folder, 1)
    assert calls == ["made"]
    (folder / "made").unlink()
    run_row([stage], folder, 1)
    assert calls == ["made", "made"]
    with pytest.raises(ExperimentError, match="row: broken ended with 1: it is broken"):
        run_row([stage, Stage("broken", folder / "nothing", BROKEN)], folder, 1)
    assert finished(folder) == {"made": True, "broken": False}


def test_a_stage_that_was_stopped_early_is_not_done_and_its_time_counts(folder):
    left = ["5 of 6 steps", None]
    made = folder / "made"
    work = lambda: (time.sleep(0.25), made.write_text(""))  # noqa: E731
    stage = Stage("train", made, work=work, unfinished=lambda: left.pop(0))
    with pytest.raises(ExperimentError, match="train ended early: 5 of 6 steps"):
        run_row([stage], folder, 1)
    first = recorded(folder)["train"]
    assert (first["finished"], first["seconds"] >= 0.2) == (False, True)
    run_row([stage], folder, 1)
    assert left == []
    second = recorded(folder)["train"]
    assert (second["finished"], second["seconds"] >= first["seconds"] + 0.2) == (True, True)


def test_results_of_other_settings_are_not_taken_for_these(folder):
    calls: list[str] = []

    def stage(steps: int) -> Stage:
        return writing(folder / "made", calls, settings=(folder / "train.yaml", {"steps": steps}))

    run_row([stage(5)], folder, 1)
    with pytest.raises(ExperimentError, match="begun with other settings, or what it starts from has changed; remove"):
        run_row([stage(6)], folder, 1)
    assert (folder / "train.yaml").read_text() == "steps: 5\n"
    assert calls == ["made"]


def test_nothing_goes_on_from_what_other_settings_left(folder):
    """A training that was stopped leaves checkpoints, from which one with another loss would go on."""
    stopped = Stage("train", folder / "made", BROKEN, source="one midpoint")
    with pytest.raises(ExperimentError, match="it is broken"):
        run_row([stopped], folder, 1)
    calls: list[str] = []
    other = Stage("train", folder / "made", work=lambda: calls.append("train"), source="another midpoint")
    with pytest.raises(ExperimentError, match="train was begun with other settings"):
        run_row([other], folder, 1)
    assert calls == []


def test_what_was_begun_is_noted_before_it_runs(folder):
    """So that a killed process leaves word of it."""
    seen = []
    run_row([Stage("train", folder / "made", work=lambda: seen.append(finished(folder)))], folder, 1)
    assert seen == [{"train": False}]


def test_measures_with_other_settings_are_made_anew_and_the_training_stays(folder):
    calls: list[str] = []
    train = writing(folder / "train", calls)

    def measuring(metrics: str) -> Stage:
        def work() -> None:
            calls.append(metrics)
            with manifest.written(folder / "measured", metrics) as path:
                path.write_text("")

        made = folder / "measured" / metrics
        return Stage("measure", made, work=work, source=metrics, measures=folder / "measured")

    after = writing(folder / "after", calls)
    run_row([train, measuring("mel"), after], folder, 1)
    (folder / "measured" / "mine.txt").write_text("somebody's notes")
    for _ in range(2):
        run_row([train, measuring("mel,wer"), after], folder, 1)
    assert calls == ["train", "mel", "after", "mel,wer", "after"]
    assert {path.name for path in (folder / "measured").iterdir()} == {"mel,wer", "mine.txt", manifest.NAME}


def test_what_came_of_a_stage_that_is_done_again_is_done_again(folder):
    """The second stage's output is there still, of what the first one made before."""
    calls: list[str] = []
    plan = [writing(folder / name, calls) for name in ("first", "second")]
    run_row(plan, folder, 1)
    (folder / "first").unlink()
    run_row(plan, folder, 1)
    run_row(plan, folder, 1)
    assert calls == ["first", "second", "first", "second"]


def test_two_processes_do_not_run_one_row(folder):
    def again() -> None:
        with pytest.raises(ExperimentError, match="another process runs this row"):
            run_row([], folder, 1)

    run_row([Stage("work", folder, work=again)], folder, 1)
    run_row([], folder, 1)
