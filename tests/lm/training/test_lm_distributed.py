"""Two processes train one language model: the same weights in both, and those of one process with all rows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from soundcodec_llmcodec.lm.training.lm_config import make_config

pytest.importorskip("accelerate")
SCRIPT = Path(__file__).parent / "distributed_lm_run.py"


def trained(settings, folder: Path, processes: int) -> Path:
    """Run in so many processes, as torchrun would start them."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(make_config(settings).to_dict()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), str(folder / "config.json")],
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


def test_two_processes_train_the_model_of_one(settings, tmp_path):
    # Rows hold unlike numbers of tokens, so a mean of the processes' means would differ. Dropout draws for each piece.
    settings["scratch"] |= {"dropout": 0.0, "token_dropout": 0.0}
    settings["optimizer"] = {"kind": "sgd", "learning_rate": 0.5, "final_learning_rate": 0.5, "gradient_clip": 1.0}
    settings |= {"steps": 4, "row_tokens": 100}
    two, one = trained(settings, tmp_path / "two", 2), trained(settings, tmp_path / "one", 1)
    first, second = (load_file(two / f"rank-{rank}.safetensors") for rank in (0, 1))
    alone = load_file(one / "rank-0.safetensors")
    for name in alone:
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], alone[name], rtol=1e-4, atol=1e-6, msg=name)
    (validation, best), expected = (json.loads((folder / "rank-0.json").read_text()) for folder in (two, one))
    assert [validation, best] == json.loads((two / "rank-1.json").read_text())
    assert validation["tokens"] == expected[0]["tokens"]
    assert validation["bits"] == pytest.approx(expected[0]["bits"], rel=1e-5)
    rows = [json.loads(line) for line in (two / "run" / "log.jsonl").read_text().splitlines()]
    single = [json.loads(line) for line in (one / "run" / "log.jsonl").read_text().splitlines()]
    bits, alone_bits = ([row["bits"] for row in found if row["event"] == "step"] for found in (rows, single))
    assert bits == pytest.approx(alone_bits, rel=1e-5)
