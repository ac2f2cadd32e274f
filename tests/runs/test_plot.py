"""The curves of runs as a picture, from any number of rows."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from soundcodec_llmcodec.cli.command_tree import run_command
from soundcodec_llmcodec.runs.monitor import Monitor
from soundcodec_llmcodec.runs.plot import PlottedRun, _corners, curves_of, labels, panels_of, plot, smoothed
from soundcodec_llmcodec.runs.run_log import RecordsError, read_log


def run_in(folder, steps: int, validations: int = 1):
    """A run with a loss that falls by factors, one that does not, and validations."""
    monitor = Monitor(folder, progress=False)
    monitor.event("start", 0, device="cpu")
    for step in range(1, steps + 1):
        values = {
            "mel": 10.0 / step,
            "phase": 1.2,
            "gradient/codec": float(step),
            "learning_rate": 1e-4,
            "skipped": 0.0,
        }
        monitor.step(step, values, seconds_per_step=0.1, total_steps=steps)
    for step in range(1, validations + 1):
        facts = {"n": 4, "mel": 1.0, "tokens": 99, "codes": 7, "entropy_bits": 2.0, "bigram_bits": 1.5}
        monitor.event("validation", step, **facts)
    return folder


def picture(path):
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def test_a_run_is_drawn_into_its_folder(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    run = run_in(tmp_path / "run", 100)
    assert run_command(["train", "plot", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "curves.png")
    drawn = picture(run / "curves.png")
    assert drawn.shape[1] > 1000
    blue = np.array([0x4E, 0x79, 0xA7])
    assert (np.abs(drawn.astype(int) - blue).sum(axis=2) < 30).sum() > 500  # there are curves in it


@pytest.mark.parametrize(("steps", "validations"), [(1, 0), (0, 1), (2, 2)])
def test_a_run_that_has_just_begun_is_drawn(tmp_path, steps, validations):
    pytest.importorskip("matplotlib")
    run = run_in(tmp_path / "run", steps, validations)
    out = plot([run], tmp_path / "out.png")
    assert picture(out).std() > 1


def test_runs_are_overlaid_in_colours_of_their_own(tmp_path):
    pytest.importorskip("matplotlib")
    first, second = run_in(tmp_path / "a", 20), run_in(tmp_path / "b", 40)
    drawn = picture(plot([first, second], tmp_path / "both.png")).astype(int)
    for colour in ((0x4E, 0x79, 0xA7), (0xF2, 0x8E, 0x2B)):
        assert (np.abs(drawn - np.array(colour)).sum(axis=2) < 30).sum() > 200


def test_panels_are_chosen_by_what_the_values_do(tmp_path):
    run = PlottedRun("run", curves_of(read_log(run_in(tmp_path, 10))))
    panels = {panel.title: panel for panel in panels_of([run])}
    assert panels["mel"].logarithmic  # 10 to 1
    assert not panels["phase"].logarithmic
    assert panels["bits a token"].names == ("bigram_bits", "entropy_bits")
    assert {panel.section for panel in panels.values()} == {"validation", "loss", "gradient", "learning_rate", "speed"}
    assert not {"n", "tokens"} & set(panels)
    steps, values = run.curves["gradient"]["codec"]
    assert steps.tolist() == values.tolist() == list(range(1, 11))


def test_what_is_not_finite_leaves_a_gap(tmp_path):
    rows = [{"event": "step", "step": s, "mel": v} for s, v in ((1, 4.0), (2, "nan"), (3, 2.0), (3, 1.0))]
    steps, values = curves_of(rows)["loss"]["mel"]
    assert steps.tolist() == [1, 2, 3]
    assert values[[0, 2]].tolist() == [4.0, 1.0]  # of a step that came twice, the later
    assert np.isnan(values[1])
    assert smoothed(np.array([1.0, np.nan] * 50)) == pytest.approx(np.ones(100))
    only = curves_of([{"event": "step", "step": 1, "mel": "nan"}])
    assert panels_of([PlottedRun("run", only)]) == []


def test_smoothing_keeps_what_is_even_and_flattens_what_is_noise():
    line = np.linspace(0, 1, 200)
    assert smoothed(line)[20:-20] == pytest.approx(line[20:-20])
    noise = np.random.default_rng(0).standard_normal(400)
    assert smoothed(noise).std() < 0.4
    assert smoothed(np.array([3.0])).tolist() == [3.0]


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    assert labels([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert labels([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x/run", "y/run"]
    assert labels([tmp_path / "a", tmp_path / "a"]) == ["a", "a"]


def test_small_sections_share_a_row():
    corners, height = _corners([3, 7, 2, 2], 5)
    tops = [top for _, top in corners]
    assert tops[0] < tops[1] < tops[2] == tops[3] < height
    assert corners[3][0] > corners[2][0] == 0


def test_what_cannot_be_drawn_says_why(tmp_path, monkeypatch):
    with pytest.raises(RecordsError, match=r"no log\.jsonl"):
        plot([tmp_path], tmp_path / "out.png")
    (tmp_path / "log.jsonl").write_text(json.dumps({"event": "start", "step": 0}) + "\n")
    with pytest.raises(RecordsError, match="nothing to draw yet"):
        plot([tmp_path], tmp_path / "out.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"matplotlib, which is .*soundcodec-llmcodec\[train\]"):
        plot([run_in(tmp_path / "run", 2)], tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()
