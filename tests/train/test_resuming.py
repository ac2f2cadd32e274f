"""A run's folder says under which settings it was, and a resume what it changes of them."""

from __future__ import annotations

import dataclasses

from runs import trainer

from soundcodec_llmcodec.train.config import load_config
from soundcodec_llmcodec.train.records import read_log
from soundcodec_llmcodec.train.resuming import CONFIG, changes
from soundcodec_llmcodec.train.schedules import LossSchedule


def test_a_folder_holds_its_config_and_a_resume_logs_what_it_changes(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, steps=1, losses={"mel": LossSchedule(1.0)})
    trainer(config, tmp_path / "run").run()
    assert "changed" not in {row["event"] for row in read_log(tmp_path / "run")}
    again = dataclasses.replace(config, steps=2, losses={"mel": LossSchedule(3.0), "stft": LossSchedule(0.5)})
    trainer(again, tmp_path / "run").run()
    (row,) = [row for row in read_log(tmp_path / "run") if row["event"] == "changed"]
    assert row["step"] == 1
    assert row["steps"] == "1 -> 2"
    assert row["losses.mel.weight"] == "1.0 -> 3.0"
    assert row["losses.stft.weight"] == "None -> 0.5"
    assert not any(key.startswith(("data", "validation", "init")) for key in row)
    kept = load_config(str(tmp_path / "run" / CONFIG))
    assert changes(kept.to_dict(), again) == {}


def test_places_are_no_settings(tiny_config):
    moved = dataclasses.replace(tiny_config, data=("elsewhere",))
    assert changes(tiny_config.to_dict(), moved) == {}
