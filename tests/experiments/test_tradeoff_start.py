"""Rows that go on from another row, and what language models learn from."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments import run_tradeoff
from experiments.tradeoff.rows import Experiment, ExperimentError, RowSpec, in_order, read_experiment
from experiments.tradeoff.stages import Place, stages, write_token_speech
from soundcodec_llmcodec.train.config import make_config

SHIP = Path(run_tradeoff.__file__).parent / "ship.yaml"


def write_codec(folder: Path, midpoint: Path, steps: int) -> None:
    """A row's codec, as if it had trained for so many steps."""
    folder.mkdir(parents=True, exist_ok=True)
    described = json.loads((midpoint / "config.json").read_text())
    described["info"] = {"trained": {"steps": steps}}
    (folder / "config.json").write_text(json.dumps(described))


def test_what_ships_is_held_against_its_baseline_with_fewer_codes(midpoint, tmp_path):
    """They go on from the trained baseline, not from the midpoint, and not before it is trained."""
    experiment = read_experiment(SHIP)
    experiment.check()
    (row,) = experiment.named(["base-1024"])
    out = tmp_path / "out"
    place = Place("speech", midpoint.parent, out)
    with pytest.raises(ExperimentError, match="base-1024 goes on from base, which is not trained: run that row first"):
        list(stages(experiment, row, place))
    write_codec(out / "base" / "codec", midpoint, 1999)
    with pytest.raises(ExperimentError, match="not trained"):
        list(stages(experiment, row, place))
    write_codec(out / "base" / "codec", midpoint, 2000)
    found = {stage.name: stage for stage in stages(experiment, row, place)}
    config = make_config(found["train"].settings[1])
    assert (config.init, config.codec_config.codebook_size) == (str(out / "base-1024" / "init"), 1024)
    baseline = make_config(experiment.training(experiment.named(["base"])[0]))
    assert config.losses == baseline.losses
    assert config.steps == 240


def test_another_baseline_makes_other_rows_of_those_that_start_from_it(midpoint, tmp_path):
    experiment = read_experiment(SHIP)
    (row,) = experiment.named(["base-1024"])
    place = Place("speech", midpoint.parent, tmp_path / "out")
    write_codec(tmp_path / "out" / "base" / "codec", midpoint, 2000)
    before = [stage.digest("") for stage in stages(experiment, row, place)]
    path = tmp_path / "out" / "base" / "codec" / "config.json"
    path.write_text(path.read_text().replace(json.loads(path.read_text())["weights_hash"], "0" * 64))
    after = [stage.digest("") for stage in stages(experiment, row, place)]
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


def test_beside_others_a_row_waits_for_the_one_that_it_starts_from(midpoint, tmp_path, monkeypatch, capsys):
    """Two workers, the dependent row given first: it begins when the other has ended, and not before."""
    text = "common: {base: tiny}\nlm: {base: tiny, steps: 1}\nrows:\n"
    text += "  - {name: later, family: control, start: base}\n  - {name: base, family: control}\n"
    (tmp_path / "experiment.yaml").write_text(text)
    told = []

    def run(stages, folder, threads):
        told.append(f"{folder.name} begins")
        time.sleep(0.2)
        told.append(f"{folder.name} ends")

    monkeypatch.setattr("experiments.tradeoff.running.run_row", run)
    arguments = ["--speech", "speech", "--midpoint", str(midpoint.parent), "--out", str(tmp_path / "out")]
    assert run_tradeoff.main([*arguments, "--experiment", str(tmp_path / "experiment.yaml"), "--workers", "2"]) == 0
    assert told == ["base begins", "base ends", "later begins", "later ends"]
    assert "later: 0 s" in capsys.readouterr().out


def write_speech(folder: Path, clips: int) -> Path:
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.table({"id": list(range(clips))}), folder / "data" / "train-00000-of-00001.parquet")
    return folder


def test_language_models_learn_from_every_nth_clip_of_this_speech(tmp_path):
    """Taken once; what was taken of other speech is not taken for this."""
    plan = Experiment((RowSpec("base", "control"),), {}, {"steps": 1}, every=3)
    speech = write_speech(tmp_path / "speech", 8)
    place = Place(str(speech), tmp_path, tmp_path / "out")
    for _ in range(2):
        write_token_speech(plan, place)
    (taken,) = (tmp_path / "out" / "token-speech" / "every-3" / "data").iterdir()
    assert pq.read_table(taken)["id"].to_pylist() == [0, 3, 6]
    other = Place(str(write_speech(tmp_path / "other", 900)), tmp_path, tmp_path / "out")
    with pytest.raises(ExperimentError, match="every-3 was taken from other speech than "):
        write_token_speech(plan, other)
    with pytest.raises(ExperimentError, match=r"needs .*nothing/data/train"):
        write_token_speech(plan, Place(str(tmp_path / "nothing"), tmp_path, tmp_path / "out"))
