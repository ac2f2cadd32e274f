"""Rows that go on from another row, and what language models learn from."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments import run_tradeoff
from experiments.tradeoff.stages import StagePlace, stages, write_token_speech
from experiments.tradeoff.tradeoff_rows import Experiment, ExperimentError, RowSpec, in_order, read_experiment
from soundcodec_llmcodec.train.train_config import make_config

SHIP = Path(run_tradeoff.__file__).parent / "ship.yaml"


@pytest.fixture
def trained(midpoint, tmp_path):
    """Make the baseline's record and codec as its training leaves them: all of it, with these settings and weights."""
    experiment = read_experiment(SHIP)
    bundle = midpoint.parent / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_text(json.dumps({"parts": {}}))
    (bundle / "bundle.safetensors").write_bytes(b"weights")
    place = StagePlace("speech", midpoint.parent, tmp_path / "out")
    folder = place.out / "base"

    def leave(finished: bool = True, weights: str | None = None) -> StagePlace:
        stage = next(iter(stages(experiment, experiment.named(["base"])[0], place)))
        (folder / "codec").mkdir(parents=True, exist_ok=True)
        described = json.loads((midpoint / "config.json").read_text())
        described["weights_hash"] = weights or described["weights_hash"]
        (folder / "codec" / "config.json").write_text(json.dumps(described))
        entry = {"seconds": 1.0, "command": [], "digest": stage.digest(""), "finished": finished}
        (folder / "stages.json").write_text(json.dumps({"train": entry}))
        return place

    return leave


def test_what_ships_is_held_against_its_baseline_with_fewer_codes(midpoint, trained, tmp_path):
    """They go on from the trained baseline, not from the midpoint, and not before it is trained."""
    experiment = read_experiment(SHIP)
    experiment.check()
    (row,) = experiment.named(["base-1024"])
    place = StagePlace("speech", midpoint.parent, tmp_path / "out")
    with pytest.raises(ExperimentError, match="base-1024 goes on from base, which is not trained: run that row first"):
        list(stages(experiment, row, place))
    trained(finished=False)
    with pytest.raises(ExperimentError, match="not trained"):
        list(stages(experiment, row, place))
    trained()
    found = {stage.name: stage for stage in stages(experiment, row, place)}
    config = make_config(found["train"].settings[1])
    assert (config.init, config.codec_config.codebook_size) == (str(tmp_path / "out" / "base-1024" / "init"), 1024)
    baseline = make_config(experiment.training(experiment.named(["base"])[0]))
    assert config.losses == baseline.losses
    assert config.steps == 240


def test_a_baseline_of_other_settings_is_no_start(midpoint, trained):
    """The midpoint was trained anew since: the baseline's codec is there, of another experiment."""
    place = trained()
    (midpoint.parent / "bundle" / "bundle.safetensors").write_bytes(b"others")
    experiment = read_experiment(SHIP)
    with pytest.raises(ExperimentError, match="base, which was trained with other settings"):
        list(stages(experiment, experiment.named(["base-1024"])[0], place))


def test_another_baseline_makes_other_rows_of_those_that_start_from_it(trained):
    experiment = read_experiment(SHIP)
    (row,) = experiment.named(["base-1024"])
    before = [stage.digest("") for stage in stages(experiment, row, trained())]
    after = [stage.digest("") for stage in stages(experiment, row, trained(weights="0" * 64))]
    assert before[0] != after[0]
    assert before[2:] == after[2:]  # their own settings are the same; a digest counts all before it


def starting(**starts: str | None) -> list[RowSpec]:
    return [RowSpec(name, "control", start=start) for name, start in starts.items()]


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ({"a": None, "b": None}, "ab"),
        ({"a": "c", "b": None, "c": None}, "bca"),
        ({"a": "b", "b": "c", "c": "elsewhere"}, "cba"),
    ],
)
def test_a_row_comes_after_the_one_that_it_starts_from(starts, expected):
    assert "".join(row.name for row in in_order(starting(**starts))) == expected


def test_rows_that_start_from_each_other_are_refused():
    with pytest.raises(ExperimentError, match="start from each other: a, b"):
        in_order(starting(a="b", b="a", c=None))


@pytest.fixture
def run(midpoint, tmp_path, monkeypatch):
    """Run an experiment of some rows, whose stages are replaced by a function of the row's name."""

    def run(work: Callable[[str], None], rows: str, *options: str) -> int:
        (tmp_path / "experiment.yaml").write_text(
            f"common: {{base: tiny}}\nlm: {{base: tiny, steps: 1}}\nrows: {rows}\n"
        )
        monkeypatch.setattr("experiments.tradeoff.running.run_row", lambda stages, folder, threads: work(folder.name))
        arguments = ["--speech", "speech", "--midpoint", str(midpoint.parent), "--out", str(tmp_path / "out")]
        return run_tradeoff.main([*arguments, "--experiment", str(tmp_path / "experiment.yaml"), *options])

    return run


LATER = "[{name: later, family: control, start: base}, {name: base, family: control}, {name: other, family: control}]"


def test_beside_others_a_row_waits_for_the_one_that_it_starts_from(run, capsys):
    """Two workers, the dependent row given first: it begins when the other has ended, and not before."""
    told = []

    def work(name: str) -> None:
        told.append(f"{name} begins")
        time.sleep(0.2)
        told.append(f"{name} ends")

    assert run(work, LATER, "--workers", "2", "--rows", "later", "base", "later") == 0
    assert told == ["base begins", "base ends", "later begins", "later ends"]
    assert "later: 0 s" in capsys.readouterr().out


def test_a_row_whose_start_failed_is_not_begun_and_others_are(run, capsys):
    done = []

    def work(name: str) -> None:
        if name == "base":
            raise ExperimentError("base: train ended with 1")
        done.append(name)

    assert run(work, LATER, "--workers", "2") == 1
    assert done == ["other"]
    error = capsys.readouterr().err
    assert "base: train ended with 1" in error
    assert "later: not begun, it goes on from base, which failed" in error


def test_ctrl_c_begins_no_further_row(run, capsys):
    """The signal comes while the first row of three runs."""
    done = []

    def work(name: str) -> None:
        done.append(name)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(1.5)

    rows = "[{name: base, family: control}, {name: b, family: control}, {name: c, family: control}]"
    assert run(work, rows) == 130
    assert done == ["base"]
    assert "stopped; the same command goes on" in capsys.readouterr().err


def write_speech(folder: Path, clips: int) -> Path:
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.table({"id": list(range(clips))}), folder / "data" / "train-00000-of-00001.parquet")
    return folder


def test_language_models_learn_from_every_nth_clip_of_this_speech(tmp_path):
    """Taken once; what was taken of other speech is not taken for this."""
    plan = Experiment((RowSpec("base", "control"),), {}, {"steps": 1}, every=3)
    speech = write_speech(tmp_path / "speech", 8)
    place = StagePlace(str(speech), tmp_path, tmp_path / "out")
    write_token_speech(plan, place)
    (taken,) = (tmp_path / "out" / "token-speech" / "every-3" / "data").iterdir()
    written = taken.stat().st_mtime_ns
    write_token_speech(plan, place)
    assert taken.stat().st_mtime_ns == written
    assert pq.read_table(taken)["id"].to_pylist() == [0, 3, 6]
    other = StagePlace(str(write_speech(tmp_path / "other", 9)), tmp_path, tmp_path / "out")
    with pytest.raises(ExperimentError, match="every-3 was taken from other speech than "):
        write_token_speech(plan, other)
    (tmp_path / "out" / "token-speech" / "every-3" / "taken_from.json").unlink()
    with pytest.raises(ExperimentError, match="does not say that it was taken from"):
        write_token_speech(plan, place)
    with pytest.raises(ExperimentError, match=r"needs .*nothing/data/train"):
        write_token_speech(plan, StagePlace(str(tmp_path / "nothing"), tmp_path, tmp_path / "out"))
