"""The command: tones told apart by their spectra, what is written and kept, what is refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import probe_sets as sets
import pytest

from eval.harness.clips import clip_of
from eval.probes import pooled_features, probes_run
from eval.probes.pooled_features import PooledFeatures, pooled
from eval.probes.probes_command import main
from eval.representations.log_mel import LogMel

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def task(tmp_path) -> str:
    return f"pitch={sets.stored(tmp_path / 'data', sets.tones())},label=pitch,group=speaker_id,folds=3"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_tones_are_told_apart_and_table_json_and_csv_agree(task, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["--models", "mel", "--task", task, "--output", str(out), "--quiet", "--wide"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert (out / "table.md").read_text(encoding="utf-8") == printed
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (document["schema"], document["schema_version"]) == ("soundcodec-llmcodec/probes", 1)
    assert document["for_reporting"] is True
    scores = {score["representation"]: score["accuracy"] for score in document["scores"]}
    assert scores["mel"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert scores["majority class"]["value"] == pytest.approx(1 / 3)
    (described,) = document["tasks"]
    assert (described["n"], described["groups"], described["interval_over"]) == (18, 3, "clips")
    assert described["classes"] == {"high": 6, "low": 6, "middle": 6}
    cells = {row.split("|")[1].strip(): row.split("|")[-2].strip() for row in printed.splitlines() if "|" in row}
    assert cells["mel"] == "100.0 [100.0, 100.0]"
    assert cells["chance"] == "33.3"
    for name, accuracy in scores.items():
        assert cells[name].startswith(f"{100 * accuracy['value']:.1f} [{100 * accuracy['low']:.1f}, ")
    with (out / "table.csv").open(encoding="utf-8") as file:
        rows = {row["representation"]: row for row in csv.DictReader(file)}
    assert {name: float(row["accuracy"]) for name, row in rows.items()} == {
        name: accuracy["value"] for name, accuracy in scores.items()
    }
    clips = [row for row in lines(out / "clips.jsonl") if row["representation"] == "majority class"]
    assert np.mean([row["correct"] for row in clips]) == scores["majority class"]["value"]
    folds = {(row["group"], row["fold"]) for row in clips}
    assert len(folds) == 3


def test_features_are_computed_once_for_all_tasks_and_kept(task, tmp_path, monkeypatch, capsys):
    computed = []
    frames = LogMel.frames
    monkeypatch.setattr(LogMel, "frames", lambda self, samples: computed.append(1) or frames(self, samples))
    out = str(tmp_path / "out")
    other = task.replace("pitch=", "word=", 1).replace("label=pitch,group=speaker_id", "label=text")
    command = ["--models", "mel", "--task", task, "--task", other, "--output", out, "--quiet"]
    assert main(command) == 0
    assert len(computed) == 18
    assert main(command) == 2
    assert "holds a run already; --resume" in capsys.readouterr().err
    assert main([*command, "--resume", "--pooling", "mean-std"]) == 0
    assert len(computed) == 18
    assert main([*command, "--overwrite"]) == 0
    assert len(computed) == 36


def test_features_of_other_weights_are_not_taken(task, tmp_path, monkeypatch):
    command = ["--models", "mel", "--task", task, "--output", str(tmp_path / "out"), "--quiet"]
    assert main(command) == 0
    monkeypatch.setattr(LogMel, "facts", lambda self: {"kind": "mel", "bands": "others"})
    assert main([*command, "--resume"]) == 0
    document = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert document["representations"][0]["computed_clips"] == 18


def test_a_stopped_run_keeps_what_it_computed(task, tmp_path, monkeypatch):
    calls, kept = [], []
    frames = LogMel.frames

    def stopping(self, samples):
        calls.append(1)
        if len(calls) == 5:
            for file in (tmp_path / "out" / "features").glob("*.npz"):
                with np.load(file) as arrays:
                    kept.append(len(arrays["clips"]))
            raise KeyboardInterrupt
        return frames(self, samples)

    monkeypatch.setattr(LogMel, "frames", stopping)
    monkeypatch.setattr(probes_run, "_KEPT_EVERY", 2)
    command = ["--models", "mel", "--task", task, "--output", str(tmp_path / "out"), "--quiet"]
    assert main(command) == 130
    assert kept == [4]  # a kill, after which nothing more could be written, costs one clip
    assert main([*command, "--resume"]) == 0
    assert len(calls) == 5 + 14


def test_a_clip_that_cannot_be_read_is_left_out_of_all_rows_and_said(tmp_path, capsys):
    rows = sets.tones()
    rows[4]["audio"] = {"bytes": b"no sound", "path": None}
    place = sets.stored(tmp_path, rows)
    assert main(["--models", "mel", "--task", f"t={place},label=pitch,folds=3", "--quiet", "--wide"]) == 1
    said = capsys.readouterr().out
    assert "t: 1 clips failed; clip-04: unreadable audio" in said
    assert "|      17 |" in said


def test_a_representation_that_fails_everywhere_costs_itself_alone(task, monkeypatch, capsys):
    monkeypatch.setattr(LogMel, "frames", lambda self, samples: np.full((3, 80), np.nan, np.float32))
    assert main(["--models", "mel", "random:llmcodec", "--task", task, "--quiet", "--wide"]) == 1
    said = capsys.readouterr().out
    assert "pitch: no accuracy: 18 of 18 clips have no value" in said
    assert "240 of 240 numbers are NaN or infinite" in said


def test_pooling_is_over_frames():
    frames = np.array([[1.0, 10.0], [3.0, 10.0]], np.float32)
    np.testing.assert_array_equal(pooled(frames, 2), [[2, 10], [1, 0]])
    with pytest.raises(ValueError, match=r"expected vectors \(F, 3\)"):
        pooled(frames, 3)


def test_clips_are_brought_to_the_rate_of_representations(monkeypatch):
    lengths = []
    monkeypatch.setattr(LogMel, "frames", lambda self, samples: lengths.append(len(samples)) or np.ones((2, 80)))
    features = PooledFeatures(LogMel(), "cpu")
    row = {"id": "a", "audio": {"array": np.zeros(48_000, np.float32) + 0.1, "sampling_rate": 48_000}}
    clip = clip_of(row, "all", 0)
    features.add(clip)
    assert lengths == [pooled_features.SAMPLE_RATE]
    assert features.of(clip.digest, "mean").shape == (80,)
    assert features.of(clip.digest, "mean-std").shape == (160,)


def test_without_a_task_the_bundled_clips_are_told_apart_and_marked(capsys):
    assert main(["--models", "mel", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Linear probes: domain -- NOT FOR REPORTING (synthetic clips)\n")
    assert "no task is named" in said.err


def test_a_limit_marks_the_table(task, capsys):
    assert (
        main(
            [
                "--models",
                "mel",
                "--task",
                task.replace("group=speaker_id,folds=3", "folds=2"),
                "--limit",
                "12",
                "--quiet",
            ]
        )
        == 0
    )
    assert "NOT FOR REPORTING (--limit 12)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--models", "mell"], "no representation is called 'mell'"),
        (["--models", "mel", "mel"], "two representations are called mel"),
        (["--models", "mel", "--task", "a=mini,label=nothing"], "has no column 'nothing'"),
        (["--models", "mel", "--task", "a=nowhere,label=text"], "no data set 'nowhere'"),
    ],
)
def test_what_cannot_be_meant_is_refused(more, said, capsys):
    assert main([*more, "--quiet"]) == 2
    assert said in capsys.readouterr().err


def test_help_needs_no_torch():
    code = (
        "import sys, runpy; sys.path.insert(0, 'eval')\n"
        "sys.argv = ['x', '--help']\n"
        "try:\n    runpy.run_path('eval/probes.py', run_name='__main__')\n"
        "except SystemExit:\n    sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "--task" in done.stdout
