"""Nothing that is printed may end a program, whatever the terminal's encoding."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec.terminal import show_what_can_be_shown

ROOT = Path(__file__).parents[1]


def test_what_the_encoding_lacks_is_replaced(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", object())  # not everyone's stderr is a file
    show_what_can_be_shown()
    print("mel ↓ ±0.1")
    out.flush()
    assert out.buffer.getvalue().decode() == f"mel ? ?0.1{os.linesep}"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_run_is_written_and_its_table_printed(tmp_path, encoding):
    (tmp_path / "clips").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    soundfile.write(tmp_path / "clips" / "a.wav", noise, 16_000)
    command = ["eval/superb_tiny.py", "--models", "identity", "--metrics", "mel", "--workers", "0", "--quiet"]
    command += ["--dataset", str(tmp_path / "clips"), "--output", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"identity" in done.stdout
    assert "↓" in (tmp_path / "run" / "table.md").read_text(encoding="utf-8")
    assert (tmp_path / "run" / "results.json").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ["eval/superb_tiny.py", "--list"],
        ["eval/salmon.py", "--list"],
        ["eval/predictability.py", "--help"],
        ["eval/abx.py", "--help"],
        ["eval/salmon_build.py", "--help"],
        ["eval/report.py", "--help"],
        ["-m", "soundcodec_llmcodec", "train", "--help"],
        ["-m", "soundcodec_llmcodec", "lm", "score", "--help"],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_every_program_speaks_ascii(command):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
