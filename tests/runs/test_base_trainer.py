"""The loop that all kinds of runs share: what it calls and when, and what it warns of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from soundcodec_llmcodec.runs import base_trainer
from soundcodec_llmcodec.runs.base_trainer import BaseTrainer
from soundcodec_llmcodec.runs.checkpoint_folders import (
    checkpoints_in,
    read_facts,
    read_tensors,
    step_name,
    write_checkpoint,
)
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.resuming import CONFIG


@dataclass(frozen=True)
class CountingConfig:
    """A run that counts."""

    steps: int = 7
    precision: str = "float32"
    log_every: int = 2
    validate_every: int = 3
    checkpoint_every: int = 3
    keep_checkpoints: int = 2

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class CountingState:
    """A number that each step raises by one."""

    step: int = 0
    loaded: list[str] = field(default_factory=list)

    def save(self, folder: Path, facts: Any) -> Path:
        tensors = {"count": torch.tensor(float(self.step))}
        return write_checkpoint(folder / step_name(self.step), tensors, {"step": self.step, "facts": dict(facts)})

    def load(self, folder: Path, facts: Any) -> dict[str, Any]:
        self.step = read_facts(folder)["step"]
        assert float(read_tensors(folder)["count"]) == self.step
        self.loaded.append(folder.name)
        return dict(read_facts(folder)["facts"])


class CountingTrainer(BaseTrainer[CountingConfig, CountingState, int, int]):
    """Counts its steps and validations."""

    def __init__(self, folder: Path, config: CountingConfig | None = None, device: str = "cpu") -> None:
        super().__init__(config or CountingConfig(), folder, device, progress=False)
        self.state, self.facts, self.held_out = CountingState(), {"about": "numbers"}, "numbers"
        self.validations = 0
        self.before = self._resume(self.facts)

    def step(self) -> int:
        self.state.step += 1
        return self.state.step

    def run_facts(self) -> dict[str, Any]:
        return {"counted": "steps"}

    def _log_row(self, results, seconds):
        return {"sum": float(sum(results)), "number": len(results)}

    def _validate(self, held_out) -> int:
        self.validations += 1
        return self.state.step


def rows(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["event"] == event]


def test_a_run_logs_validates_saves_and_goes_on(tmp_path):
    run = CountingTrainer(tmp_path)
    run.run()
    assert [(row["step"], row["sum"], row["number"]) for row in rows(tmp_path, "step")] == [
        (2, 3.0, 2.0),
        (4, 7.0, 2.0),
        (6, 11.0, 2.0),
    ]
    assert run.validations == 2
    assert [path.name for path in checkpoints_in(run.checkpoints)] == ["step-00000006", "step-00000007"]
    assert (tmp_path / CONFIG).is_file()
    (start,) = rows(tmp_path, "start")
    assert (start["device"], start["processes"], start["counted"]) == ("cpu", 1, "steps")
    again = CountingTrainer(tmp_path, CountingConfig(steps=9))
    assert (again.state.loaded, again.before) == (["step-00000007"], {"about": "numbers"})
    assert again.run().step == 9
    assert [row["step"] for row in rows(tmp_path, "start")] == [0, 7]


def test_a_step_is_validated_once_and_time_ends_a_run_with_a_checkpoint(tmp_path):
    run = CountingTrainer(tmp_path, CountingConfig(validate_every=1))
    run.run(max_seconds=0)
    assert [path.name for path in checkpoints_in(run.checkpoints)] == ["step-00000001"]
    assert run.validate() == run.validate() == 1
    assert run.validations == 1


def test_a_last_validation_is_of_a_whole_run_only(tmp_path, monkeypatch):
    monkeypatch.setattr(CountingTrainer, "validates_at_end", True)
    cut = CountingTrainer(tmp_path / "cut")
    cut.run(max_seconds=0)
    assert cut.validations == 0
    whole = CountingTrainer(tmp_path / "whole", CountingConfig(validate_every=100))
    whole.run()
    assert whole.validations == 1


def test_processes_that_see_other_checkpoints_do_not_train(tmp_path, monkeypatch):
    monkeypatch.setattr(base_trainer.World, "agrees", lambda self, number: False)
    with pytest.raises(TrainConfigError, match="would go on from different steps"):
        CountingTrainer(tmp_path)


@pytest.mark.parametrize(
    ("precision", "has_products", "warned"),
    [("bfloat16", False, True), ("bfloat16", True, False), ("float32", False, False)],
)
def test_bfloat16_without_its_products_is_warned_of(tmp_path, monkeypatch, capsys, precision, has_products, warned):
    monkeypatch.setattr(base_trainer, "has_bfloat16_products", lambda: has_products)
    CountingTrainer(tmp_path, CountingConfig(precision=precision, steps=1)).run()
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == len(rows(tmp_path, "warning")) == warned
    for text in (*lines, *(row["text"] for row in rows(tmp_path, "warning"))):
        assert "--set precision=float32" in text


def test_a_checkpoint_of_another_version_is_an_error(tmp_path):
    folder = write_checkpoint(tmp_path / step_name(3), {"x": torch.ones(2)}, {"version": 4})
    assert folder.name == "step-00000003"
    assert read_facts(folder, 4) == {"version": 4}
    with pytest.raises(TrainConfigError, match="state version 4, expected 5"):
        read_facts(folder, 5)
