"""The command: what it prints, writes, refuses and exits with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import predict_corpora as corpora
import pytest

from eval.predictability.predictability_command import main

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def places(tmp_path) -> tuple[str, str]:
    train = corpora.write(tmp_path / "tokens", "train", corpora.clips(60, 0), corpora.source())
    return train, corpora.write(tmp_path / "tokens", "test", corpora.clips(15, 1), corpora.source())


def test_a_run_prints_and_writes_its_figures(places, tmp_path, capsys):
    out = tmp_path / "out"
    train, test = places
    assert main(["--train", train, "--test", test, "--output", str(out), "--quiet", "--wide"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("## Predictability of tokens: tokens:test\n")
    assert (out / "table.md").read_text(encoding="utf-8") == printed
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (document["schema"], document["schema_version"]) == ("soundcodec-llmcodec/predictability", 1)
    assert document["for_reporting"] is True
    (codec,) = document["codecs"]
    assert (codec["train"], codec["test"], codec["codes_used"]) == ("tokens:train", "tokens:test", 32)
    models = {one["model"]: one for one in document["models"]}
    assert models["uniform"]["bits_per_token"]["mean"] == pytest.approx(5)
    assert models["trigram"]["prefix"] == "bos"
    assert models["bigram"]["identity"] != models["trigram"]["identity"]
    assert (
        models["bigram"]["audio_vocabulary"]["perplexity"]["mean"]
        < models["unigram"]["full_vocabulary"]["perplexity"]["mean"]
    )
    rows = [json.loads(line) for line in (out / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 4 * 15
    nats = sum(row["audio_nats"] for row in rows if row["model"] == "bigram")
    expected = models["bigram"]["audio_vocabulary"]["nats_per_token"]["mean"] * codec["n_tokens"]
    assert nats == pytest.approx(expected)


def test_results_are_not_written_over(places, tmp_path, capsys):
    command = ["--test", places[1], "--output", str(tmp_path / "out"), "--models", "unigram", "--quiet"]
    assert main(command) == 0
    assert main(command) == 2
    assert "holds results already; --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_limit_marks_the_table(places, capsys):
    assert main(["--test", places[1], "--limit", "4", "--models", "unigram", "--quiet", "--wide"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].endswith("-- NOT FOR REPORTING (--limit 4)")
    assert "two-fold: each half of the clips" in said


def test_a_model_that_is_not_there_is_listed_and_the_others_measured(places, tmp_path, capsys):
    absent = str(tmp_path / "absent")
    assert main(["--test", places[1], "--models", "unigram", absent, "--quiet"]) == 1
    said = capsys.readouterr().out
    assert f"- toy, {absent}: left out: nothing is at" in said
    assert main(["--test", places[1], "--models", absent, "--quiet"]) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--codec", "a=x,y", "--test", "z"], "leave --train and --test out"),
        (["--train", "x"], "--train goes with --test"),
    ],
)
def test_what_cannot_be_meant_is_refused(more, said, capsys):
    with pytest.raises(SystemExit):
        main(more)
    assert said in capsys.readouterr().err


def test_tokens_that_are_not_there_are_refused(tmp_path, capsys):
    assert main(["--test", str(tmp_path / "nothing")]) == 2
    assert "is no token corpus" in capsys.readouterr().err


def test_without_arguments_the_bundled_clips_are_predicted_and_marked(capsys):
    assert main(["--limit", "1", "--models", "uniform", "unigram", "--quiet"]) == 0
    said = capsys.readouterr()
    assert "-- NOT FOR REPORTING (synthetic clips)" in said.out.splitlines()[0]
    assert "see --help" in said.err


def test_help_needs_no_torch():
    code = (
        "import sys, runpy; sys.path.insert(0, 'eval')\n"
        "sys.argv = ['x', '--help']\n"
        "try:\n    runpy.run_path('eval/predictability.py', run_name='__main__')\n"
        "except SystemExit:\n    sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "--codec" in done.stdout
