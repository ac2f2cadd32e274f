"""Every example runs as it is written, in a folder of its own, and leaves what it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec import Tokens

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CLIP = ROOT / "soundcodec_llmcodec" / "assets" / "demo" / "speech-english.flac"


def run(*words: object, cwd: Path) -> str:
    """An example in a process of its own, with this interpreter as `python` and this checkout's package; its output."""
    programs = cwd / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "python").exists():
        # A wrapper and no link, which would lose the virtual environment.
        (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        (programs / "python").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
    return done.stdout


def cells(notebook: Path) -> list[str]:
    """The code cells of a notebook, in order."""
    read = json.loads(notebook.read_text(encoding="utf-8"))
    assert (read["nbformat"], set(read["metadata"])) == (4, {"kernelspec", "language_info"})
    return ["".join(cell["source"]) for cell in read["cells"] if cell["cell_type"] == "code"]


def test_round_trip(tmp_path):
    out = run(sys.executable, EXAMPLES / "round_trip.py", CLIP, tmp_path / "out", cwd=tmp_path)
    samples, rate = soundfile.read(CLIP)
    decoded, same = soundfile.read(tmp_path / "out" / "decoded.wav")
    assert (len(decoded), same) == (len(samples), rate)
    assert len(soundfile.read(tmp_path / "out" / "one_second.wav")[0]) == 16_000
    assert len(Tokens.load(tmp_path / "out" / "tokens.llmc")) == -(-len(samples) // 320)
    assert "716 bit/s" in out


def test_score_tokens(tmp_path):
    pytest.importorskip("transformers")
    out = run(sys.executable, EXAMPLES / "score_tokens.py", CLIP, tmp_path / "longer.wav", cwd=tmp_path)
    bits = {name: float(value) for name, value in re.findall(r"^(.+): ([\d.]+) bits per token", out, re.MULTILINE)}
    # The model knows which way time runs, and knows more than a uniform guess.
    assert bits["as recorded"] < bits["backwards"]
    assert bits["as recorded"] < bits["uniform guess"]
    longer, rate = soundfile.read(tmp_path / "longer.wav")
    assert len(longer) == 3 * rate


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_compare_codecs(tmp_path):
    pytest.importorskip("pystoi")
    run(
        "bash",
        EXAMPLES / "compare_codecs.sh",
        tmp_path / "out",
        "--limit",
        "1",
        "--workers",
        "0",
        "--quiet",
        cwd=tmp_path,
    )
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    means = {model["name"]: model["splits"]["Speech"]["metrics"] for model in results["models"]}
    assert list(means) == ["llmcodec", "llmcodec_base", "resample_16k"]
    assert means["resample_16k"]["mel"]["mean"] < means["llmcodec"]["mel"]["mean"]
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_train_tiny(tmp_path):
    pytest.importorskip("yaml")
    pytest.importorskip("librosa")
    run("bash", EXAMPLES / "train_tiny.sh", tmp_path / "run", "6", cwd=tmp_path)
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert max(event.get("step", 0) for event in events) == 6
    decoded, rate = soundfile.read(tmp_path / "run" / "speech.wav")
    assert (len(decoded), rate) == (soundfile.info(CLIP).frames, soundfile.info(CLIP).samplerate)
    assert {path.name for path in (tmp_path / "run" / "exports").iterdir()} == {"codec", "bundle"}


def test_notebook_runs_cell_by_cell(monkeypatch):
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    names: dict[str, object] = {"__name__": "__main__"}
    monkeypatch.syspath_prepend(str(ROOT))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for index, source in enumerate(cells(EXAMPLES / "listen.ipynb")):
            exec(compile(source, f"listen.ipynb, code cell {index}", "exec"), names)
    assert len(names["figure"].axes) == 3
    assert len(names["decoded"]) == len(names["original"])
    swapped, tokens = names["swapped"], names["tokens"]
    assert len(swapped) == 320 * len(tokens)
    assert np.isfinite(swapped).all()
    assert "different codes of 20480" in out.getvalue()


def test_notebook_holds_no_outputs():
    read = json.loads((EXAMPLES / "listen.ipynb").read_text(encoding="utf-8"))
    assert [cell for cell in read["cells"] if cell.get("outputs") or cell.get("execution_count")] == []


def test_readme_lists_every_example():
    listed = set(re.findall(r"\]\(([\w.]+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")))
    there = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh", ".ipynb")}
    assert {name for name in there if not name.startswith("own_")} == listed
