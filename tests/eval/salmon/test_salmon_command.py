"""The command: its table, what it leaves, refusals, exit codes, stopping and going on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from salmon_stubs import PART, StubCodec, StubLM, V, counting, model, recording, runs_on, uniform

from eval.harness.command import DONE, INCOMPLETE, INTERRUPTED, REFUSED
from eval.harness.model_specs import LoadError
from eval.salmon import salmon_command, salmon_models
from eval.salmon.salmon_models import SalmonModelSpec
from soundcodec_llmcodec.lm.scores import CodecMismatchError

PAIRS = 9


@pytest.fixture
def suite(tmp_path) -> Path:
    """Nine counting pairs and, in another part, three that sound alike; PCM holds a stub's samples exactly."""
    folder = tmp_path / "suite"
    same = [(recording([i, 2]), recording([i, 2, 2])) for i in range(3)]
    for part, pairs in ((PART, [(p.positive, p.negative) for p in runs_on(PAIRS, seed=0)]), ("bg_alignment", same)):
        (folder / part).mkdir(parents=True)
        for index, pair in enumerate(pairs):
            for k, one in enumerate(pair):
                soundfile.write(folder / part / f"sample_{index}_{k}.wav", one.samples, one.rate, subtype="PCM_16")
    return folder


@pytest.fixture
def made(monkeypatch) -> dict[str, object]:
    """The models that the command knows, by name: an LM, or the error of its loading."""
    known: dict[str, object] = {"counting": counting(), "uniform": uniform()}
    codec = StubCodec()

    class Loader:
        def __init__(self, device: str) -> None:
            pass

        def load(self, spec: SalmonModelSpec) -> salmon_models.Model:
            found = known[spec.text]
            if isinstance(found, Exception):
                raise found
            assert isinstance(found, StubLM)
            return model(found, codec, spec.label)

    monkeypatch.setattr(salmon_models, "Loader", Loader)
    monkeypatch.setattr(
        salmon_models, "check", lambda texts: [SalmonModelSpec(text, text, "stub", "stub") for text in texts]
    )
    return known


def run(suite: Path, *more: str) -> int:
    return salmon_command.main(["--suite", str(suite), "--quiet", "--wide", "--batch-size", "1", *more])


def cells(out: str, name: str) -> dict[str, str]:
    """A table row by column."""
    lines = out.splitlines()
    header, row = (
        [cell.strip() for cell in next(line for line in lines if line.startswith(start)).strip("|").split("|")]
        for start in ("| model", f"| {name} ")
    )
    return dict(zip(header, row, strict=True))


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_table_has_a_column_a_part_and_marks_nothing_of_a_real_suite(suite, made, capsys):
    assert run(suite, "--models", "counting", "uniform") == DONE
    out = capsys.readouterr().out
    assert "NOT FOR REPORTING" not in out
    assert cells(out, "counting")["Speaker"].startswith("100.0 ")
    chance = cells(out, "uniform")
    assert chance["Speaker"].startswith("50.0 ")
    assert (chance["BG-Align"].split()[0], chance["ties"], chance["failed"]) == ("50.0", str(PAIRS + 3), "0")
    assert list(chance).index("Speaker") < list(chance).index("BG-Align") < list(chance).index("Average")


def test_sums_prefer_the_shorter_and_both_are_kept(suite, made, tmp_path, capsys):
    output = tmp_path / "run"
    assert run(suite, "--models", "uniform", "--parts", "BG-Align", "--normalize", "sum", "--output", str(output)) == 0
    assert cells(capsys.readouterr().out, "uniform")["BG-Align"].startswith("100.0 ")
    found = rows(output)
    assert [row["pair_id"] for row in found] == ["0", "1", "2"]
    for row in found:
        assert row["positive"] == pytest.approx(-2 * np.log(V))
        assert row["difference"]["token"] == 0
        assert row["difference"]["sum"] == pytest.approx(np.log(V))


def test_what_a_run_leaves(suite, made, tmp_path, capsys):
    output = tmp_path / "run"
    command = ["--models", "counting", "--limit", "2", "--output", str(output), "--report-pairs", "1"]
    assert run(suite, *command) == DONE
    table = (output / "table.md").read_text()
    assert table.strip() == capsys.readouterr().out.strip()
    assert "NOT FOR REPORTING (--limit 2)" in table
    results = json.loads((output / "results.json").read_text())
    assert results["command_line"][:3] == ["salmon", "--suite", str(suite)]
    assert results["settings"] == {"normalize": "token", "batch_size": 1, "device": "cpu", "limit": 2}
    assert len(rows(output)) == 4
    assert "<html" in (output / "report.html").read_text()
    assert len(list((output / "samples").glob("*.flac"))) == 4


def test_failures_are_counted_and_change_the_exit_code(suite, made, capsys):
    (suite / PART / "sample_4_1.wav").write_bytes(b"nonsense")
    assert run(suite, "--models", "counting") == INCOMPLETE
    out = capsys.readouterr().out
    assert cells(out, "counting")["failed"] == "1"
    assert "negative: unreadable audio" in out


def test_a_model_that_cannot_be_had_is_said_and_the_rest_goes_on(suite, made, capsys):
    made["gone"] = LoadError("no such weights")
    assert run(suite, "--models", "gone", "counting") == INCOMPLETE
    told = capsys.readouterr()
    assert "salmon: left out: gone: no such weights" in told.err
    assert "gone: not loaded: no such weights" in told.out
    assert cells(told.out, "counting")["Speaker"].startswith("100.0 ")
    assert run(suite, "--models", "gone") == REFUSED
    assert "no model could be loaded; gone: no such weights" in capsys.readouterr().err


def test_a_language_model_of_another_codec_refuses_the_run(suite, made, capsys):
    made["foreign"] = CodecMismatchError("trained on tokens of codec 1234")
    assert run(suite, "--models", "counting", "foreign") == REFUSED
    told = capsys.readouterr()
    assert told.err == "salmon: error: trained on tokens of codec 1234\n"
    assert told.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "speaker_consistencies"], "Did you mean 'speaker_consistency'"),
        (["--baseline", "other"], "--baseline 'other' is none of the models of this run: counting"),
        (["--device", "tpu9"], "cannot use the device 'tpu9'"),
        (["--suite", "nothing"], "no suite 'nothing'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(suite, made, capsys, arguments, message):
    assert run(suite, "--models", "counting", *arguments) == REFUSED
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""


@pytest.mark.parametrize("arguments", [["--resume"], ["--overwrite"], ["--normalize", "mean"], ["--limit", "0"]])
def test_options_that_make_no_sense(suite, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        run(suite, *arguments)
    assert stop.value.code == REFUSED


def test_a_folder_that_holds_a_run_is_not_touched_without_a_word(suite, made, tmp_path, capsys):
    output = tmp_path / "run"
    assert run(suite, "--models", "counting", "--output", str(output)) == 0
    before = rows(output)
    assert run(suite, "--models", "counting", "--output", str(output)) == REFUSED
    assert "holds a run already" in capsys.readouterr().err
    assert run(suite, "--models", "uniform", "--output", str(output), "--resume") == REFUSED
    assert "is another one, so it cannot be resumed: models." in capsys.readouterr().err
    assert rows(output) == before
    # How it is told is no part of what was measured.
    assert run(suite, "--models", "counting", "--output", str(output), "--resume", "--normalize", "sum") == 0
    assert rows(output) == before
    assert run(suite, "--models", "uniform", "--output", str(output), "--overwrite") == 0
    assert {row["model"] for row in rows(output)} == {"uniform"}


def test_a_stopped_run_goes_on(suite, made, tmp_path, capsys):
    assert run(suite, "--models", "counting", "--output", str(tmp_path / "whole")) == 0
    calls = []

    def nll(ids: np.ndarray) -> np.ndarray:
        calls.append(len(ids))
        if len(calls) == 12:
            raise KeyboardInterrupt
        return lm.nll(ids)

    lm, stopping = counting(), StubLM(nll)
    made["counting"] = stopping
    output = tmp_path / "run"
    assert run(suite, "--models", "counting", "--output", str(output)) == INTERRUPTED
    assert capsys.readouterr().err.endswith("salmon: stopped; go on with the same command and --resume\n")
    assert not (output / "results.json").exists()
    kept = (output / "journal.jsonl").read_bytes()
    assert kept.count(b"\n") == 2
    made["counting"] = lm
    assert run(suite, "--models", "counting", "--output", str(output), "--resume") == 0
    assert (output / "journal.jsonl").read_bytes().startswith(kept)
    assert rows(output) == rows(tmp_path / "whole")
