"""A training run that is killed, for real, and goes on: the same weights as a run that never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

STEPS, EVERY = 9, 3


def command(data: Path, out: Path) -> list[str]:
    settings = [f"steps={STEPS}", f"checkpoint_every={EVERY}", f"log_every={EVERY}", "losses.prior=0.1"]
    settings += ["losses.adversarial.start=4", "losses.feature_matching.start=4", "revival.every=2"]
    run = [sys.executable, "-m", "soundcodec_llmcodec", "train", "--config", "tiny", "--device", "cpu", "--quiet"]
    return [*run, "--data", str(data), "--out", str(out), "--set", *settings]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_killed_run_goes_on_to_the_same_weights(audio_folder, tmp_path):
    subprocess.run(command(audio_folder, tmp_path / "whole"), check=True, timeout=240)
    process = subprocess.Popen(command(audio_folder, tmp_path / "killed"))
    first = tmp_path / "killed" / "checkpoints" / f"step-{EVERY:08d}"
    deadline = time.monotonic() + 200
    while not first.is_dir():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "export").exists()
    subprocess.run(command(audio_folder, tmp_path / "killed"), check=True, timeout=240)
    expected, found = (
        load_file(tmp_path / name / "checkpoints" / f"step-{STEPS:08d}" / "state.safetensors")
        for name in ("whole", "killed")
    )
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    rows = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "step"] == [3, 6, 9]
