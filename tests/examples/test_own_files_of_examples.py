"""The examples of codecs, metrics and data sets of one's own run as their docstrings say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from eval.harness import include  # noqa: E402
from eval.predictability import predictability_command  # noqa: E402
from eval.reconstruction import reconstruction_command  # noqa: E402
from eval.salmon import salmon_command  # noqa: E402


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.chdir(ROOT)
    yield
    include.forget()


def commands(name: str) -> list[list[str]]:
    """The harness's command lines in an example's docstring."""
    lines = (ROOT / "examples" / "own" / name).read_text(encoding="utf-8").splitlines()
    return [line.split()[1:] for line in lines if line.startswith("    python eval/")]


def run(command: list[str], *more: str) -> int:
    """A command line in this process, with further arguments."""
    script, *arguments = command
    main = {
        "eval/superb_tiny.py": reconstruction_command.main,
        "eval/salmon.py": salmon_command.main,
        "eval/predictability.py": predictability_command.main,
    }[script]
    return main([*arguments, *more])


def test_the_codec_the_metric_and_the_data_set_together(tmp_path):
    command = next(line for line in commands("own_codec.py") if "--dataset" in line)
    command = ["identity" if part == "llmcodec" else part for part in command]
    assert run(command, "--workers", "0", "--quiet", "--output", str(tmp_path)) == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["mark"] == "NOT FOR REPORTING (synthetic clips)"
    (codec, identity) = results["models"]
    figures = codec["splits"]["all"]
    assert (codec["bitrate_bps"], figures["n"]) == (64_000.0, 6)
    assert figures["metrics"]["snr"]["mean"] > 30  # G.711's own is about 38 dB
    assert identity["splits"]["all"]["metrics"]["snr"]["refused"]


def test_the_codec_in_the_other_measurements(tmp_path):
    predictability, salmon = (
        next(line for line in commands("own_codec.py") if line[0] == script)
        for script in ("eval/predictability.py", "eval/salmon.py")
    )
    output = tmp_path / "predictability"
    assert run(predictability, "--limit", "1", "--models", "unigram", "--quiet", "--output", str(output)) == 0
    (codec,) = json.loads((output / "results.json").read_text(encoding="utf-8"))["codecs"]
    assert (codec["codec_name"], codec["hop_length"], codec["vocabulary_size"]) == ("MuLaw", 1, 256)
    output = tmp_path / "salmon"
    assert run(salmon, "--limit", "1", "--parts", "RIR", "--quiet", "--output", str(output)) == 0
    (model,) = json.loads((output / "results.json").read_text(encoding="utf-8"))["models"]
    assert (model["name"], model["bitrate_bps"]) == ("MuLaw@uniform", 64_000.0)
    assert model["scores"]["token"]["parts"]["rir_consistency"]["accuracy"] == 0.5


@pytest.mark.parametrize("name", ["own_metric.py", "own_dataset.py"])
def test_the_other_examples_alone(name, tmp_path):
    (command,) = commands(name)
    command = ["resample_8k" if part in ("llmcodec", "opus_24k") else part for part in command]
    command = [part for place, part in enumerate(command) if part not in command[:place]]
    assert run(command, "--limit", "1", "--workers", "0", "--quiet", "--output", str(tmp_path)) == 0


def test_mu_law_is_the_inverse_of_itself():
    codec = include.codec_in(ROOT / "examples" / "own" / "own_codec.py", "MuLaw").value()
    codes = np.arange(256)[None]
    np.testing.assert_array_equal(codec.encode(codec.decode(codes)), codes)
