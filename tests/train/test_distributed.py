"""Two processes train one codec: the same weights in both, and nearly those of one process with the whole batch."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.runs.errors import TrainConfigError

pytest.importorskip("accelerate")
HERE = Path(__file__).parent
STEPS = 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def trained(config, folder: Path, processes: int, steps: int = STEPS) -> Path:
    """Run the steps in so many processes, as torchrun would start them."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, str(HERE / "distributed_run.py"), str(folder), str(folder / "config.json"), str(steps)]
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    for process in started:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    return folder


@pytest.fixture
def shared(everything):
    """Every part, but for what draws for each piece and what differs by who sees which rows (see `train.steps`)."""
    bridge = dataclasses.replace(everything.language.bridge, mode="straight_through")
    # Adam makes a full step of a gradient that is all rounding; plain descent shows how near the gradients are.
    plain = dataclasses.replace(everything.optimizer, kind="sgd", learning_rate=1e-3, final_learning_rate=1e-3)
    return dataclasses.replace(
        everything,
        optimizer=plain,
        adversary=dataclasses.replace(everything.adversary, optimizer=plain),
        batch_norm="frozen",
        batch_size=8,
        language=dataclasses.replace(everything.language, bridge=bridge, optimizer=plain),
        losses={name: loss for name, loss in everything.losses.items() if name != "contrast"},
    )


def test_two_processes_have_one_codec_which_is_that_of_one_process(shared, tmp_path):
    two, one = trained(shared, tmp_path / "two", 2), trained(shared, tmp_path / "one", 1)
    first, second = (load_file(two / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys()
    assert any(name.startswith("language.alignment.bank") for name in first)
    for name in first:
        assert torch.equal(first[name], second[name]), name
    alone, start = (
        load_file(one / "rank-0.safetensors"),
        load_file(trained(shared, tmp_path / "start", 1, steps=0) / "rank-0.safetensors"),
    )
    for name in alone:
        if name.startswith(("model.", "usage.")) and alone[name].is_floating_point():
            # Rounding differs between 8 rows and twice 4, and may give a frame another of two codes that are as near:
            # a part of what the steps changed. Gradients that are summed wrongly differ by about all of it.
            update, apart = (alone[name] - start[name]).norm(), (first[name] - alone[name]).norm()
            assert apart <= 0.15 * update + 1e-5 * alone[name].numel() ** 0.5, f"{name}: {apart} of {update}"
    rows, expected = (json.loads((folder / "rank-0.json").read_text()) for folder in (two, one))
    assert rows == json.loads((two / "rank-1.json").read_text())
    for name in ("mel", "commitment", "future_tokens", "alignment", "prior", "adversarial"):
        if name in expected[-1]:
            assert rows[-1][name] == pytest.approx(expected[-1][name], rel=1e-4), name
    assert any("revived" in row for row in rows)
    assert [path.name for path in checkpoints_in(two / "run" / "checkpoints")] == [f"step-{STEPS:08d}"]


def test_the_command_under_torchrun_validates_saves_and_ends(audio_folder, tmp_path):
    """Also where the last step was validated just before the end, which one process must not know alone."""
    out = tmp_path / "run"
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    run += ["-m", "soundcodec_llmcodec", "train", "--config", "tiny", "--device", "cpu", "--quiet", "--out", str(out)]
    run += ["--data", str(audio_folder), "--validation", str(audio_folder), "--set", "steps=4", "validate_every=2"]
    run += ["checkpoint_every=2", "log_every=2"]
    done = subprocess.run(
        run, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "validation"] == [2, 4]
    assert next(row for row in rows if row["event"] == "start")["processes"] == 2
    assert (out / "export" / "model.safetensors").is_file()


def test_rows_are_shared_evenly_or_not_at_all():
    worlds = [World(rank, 3) for rank in range(3)]
    assert [list(range(12))[world.rows(12)] for world in worlds] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    with pytest.raises(TrainConfigError, match="batch_size 8 cannot be shared evenly by 3"):
        worlds[0].rows(8)
