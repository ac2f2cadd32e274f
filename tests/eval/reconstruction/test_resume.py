"""A run that is killed or stopped, for real, and goes on: the results are those of a run that never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "eval/superb_tiny.py", "--models", "identity", "resample_16k", "narrow=resample_8k"]
COMMAND += ["--metrics", "stft", "stoi", "--batch-size", "1", "--report-clips", "0", "--quiet"]


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--output", str(folder), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = run(folder, "--workers", "2")
    assert done.returncode == 0, done.stderr
    return folder


def stopped(folder: Path, how: signal.Signals) -> subprocess.Popen[str]:
    """A run that was sent a signal after its first finished batches."""
    process = subprocess.Popen(
        [*COMMAND, "--output", str(folder), "--workers", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = folder / "journal.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(how)
    process.wait(timeout=60)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on(tmp_path, whole, how):
    folder = tmp_path / "run"
    process = stopped(folder, how)
    _, err = process.communicate()
    finished = (folder / "journal.jsonl").read_text(encoding="utf-8").count("\n") - 1
    assert 2 <= finished < 24
    assert not (folder / "results.json").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert err == "superb_tiny: stopped; go on with the same command and --resume\n"
    else:
        assert process.returncode == -signal.SIGKILL
    kept = (folder / "journal.jsonl").read_bytes()
    done = run(folder, "--resume", "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert (folder / "journal.jsonl").read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert rows(folder) == rows(whole)


def test_another_command_does_not_go_on_with_it(whole):
    before = (whole / "results.json").read_bytes()
    done = run(whole, "--resume", "--splits", "Speech")
    assert done.returncode == 2
    assert "is another one, so it cannot be resumed: splits was" in done.stderr
    assert (whole / "results.json").read_bytes() == before


def test_a_finished_run_is_told_again(whole):
    before = rows(whole)
    done = run(whole, "--resume")
    assert done.returncode == 0
    assert "Overall: mini (synthetic), 24 clips" in done.stdout
    assert rows(whole) == before
