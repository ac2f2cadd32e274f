"""The command: tables, refusals and exit codes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import torch

from eval.harness import reporting
from eval.harness.statistics import MetricSummary
from eval.reconstruction import reconstruction_command, reconstruction_run, reconstruction_table
from eval.reconstruction.codecs import LoadError

ROOT = Path(__file__).resolve().parents[3]
QUICK = ["--workers", "0", "--quiet", "--wide", "--metrics", "stft", "stoi"]


def test_the_table_of_the_mini_set(capsys):
    assert reconstruction_command.main(["--models", "identity", *QUICK]) == 0
    out = capsys.readouterr().out
    titles = [line for line in out.splitlines() if line.startswith("## ")]
    assert titles == [
        f"## {split}: mini (synthetic), {n} clips -- NOT FOR REPORTING (synthetic clips)"
        for split, n in (("Speech", 12), ("Music", 6), ("Audio", 6), ("Overall", 24))
    ]
    header = next(line for line in out.splitlines() if line.startswith("| model"))
    assert "stft ↓" in header
    assert "stoi ↑" in header
    assert "0.000 ±0.000" in out


def row(out: str, model: str) -> dict[str, str]:
    """The first table row of a model, by column."""
    lines = out.splitlines()
    header, cells = (
        [cell.strip() for cell in next(line for line in lines if line.startswith(start)).strip("|").split("|")]
        for start in ("| model", f"| {model} ")
    )
    return dict(zip(header, cells, strict=True))


def test_codec_columns(capsys, with_codecs, fake_codec):
    with_codecs(fake=lambda: fake_codec("fake", lambda x: 0.9 * x))
    assert reconstruction_command.main(["--models", "fake", "--splits", "Music", *QUICK]) == 0
    cells = row(capsys.readouterr().out, "fake")
    assert cells["checkpoint"] == "some-checkpoint abababab"
    assert (cells["kbit/s"], cells["tokens/s"], cells["codes"]) == ("0.716", "50", "5/20480")
    assert cells["bits"] == "2.32"  # five codes, equally often
    assert (cells["n"], cells["failed"]) == ("6", "0")
    assert float(cells["enc"]) >= 0
    assert float(cells["dec"]) >= 0


def test_a_limit_is_marked_loudly(capsys):
    assert reconstruction_command.main(["--models", "identity", "--limit", "1", *QUICK]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("## ")]
    assert titles[0] == "## Speech: mini (synthetic), 1 clips -- NOT FOR REPORTING (--limit 1)"
    assert all("NOT FOR REPORTING (--limit 1)" in title for title in titles)


def test_real_clips_in_full_carry_no_mark():
    assert reporting.mark(False, None) is None
    assert reporting.mark(True, None) == "NOT FOR REPORTING (synthetic clips)"


def test_failures_are_counted_listed_and_change_the_exit_code(capsys, with_codecs, fake_codec):
    with_codecs(bad=lambda: fake_codec("bad", lambda x: x, ["music-02"]))
    assert reconstruction_command.main(["--models", "identity", "bad", "--splits", "Music", *QUICK]) == 1
    out = capsys.readouterr().out
    cells = row(out, "bad")
    assert (cells["n"], cells["failed"]) == ("6", "1")
    assert cells["stft ↓"] == "0.000 ±0.000 (n=5)"
    assert "- bad: no reconstruction: ValueError: cannot do ['music-02'] (1 of 6 clips: music-02)" in out


def test_a_codec_that_cannot_be_loaded_is_said_and_the_rest_goes_on(capsys, with_codecs):
    def absent():
        raise LoadError("no program\nxyz here")

    with_codecs(absent=absent)
    assert reconstruction_command.main(["--models", "absent", "identity", "--splits", "Music", *QUICK]) == 1
    captured = capsys.readouterr()
    assert captured.err == "superb_tiny: left out: absent: no program xyz here\n"
    assert "- absent: not loaded: no program xyz here" in captured.out
    assert row(captured.out, "identity")["n"] == "6"
    assert reconstruction_command.main(["--models", "absent", *QUICK]) == 2
    assert "no codec could be loaded; absent: no program xyz here" in capsys.readouterr().err


def test_a_difference_from_the_baseline_is_marked(capsys, with_codecs, fake_codec):
    with_codecs(good=lambda: fake_codec("good", lambda x: 0.99 * x), bad=lambda: fake_codec("bad", lambda x: 0.2 * x))
    arguments = ["--models", "identity", "good", "bad", "--splits", "Speech", *QUICK]
    assert reconstruction_command.main(arguments) == 0
    out = capsys.readouterr().out
    assert row(out, "bad")["stft ↓"].endswith("*")
    assert not row(out, "good")["stft ↓"].endswith("*")
    assert "*: differs from good on the same clips" in out
    assert reconstruction_command.main([*arguments, "--baseline", "bad"]) == 0
    out = capsys.readouterr().out
    assert row(out, "good")["stft ↓"].endswith("*")
    assert not row(out, "bad")["stft ↓"].endswith("*")


def test_tables_by_source_when_asked_for(capsys):
    assert reconstruction_command.main(["--models", "identity", "--splits", "Speech", "--by-source", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "### Speech by source" in out
    assert "| tts/kokoro" in out
    assert reconstruction_command.main(["--models", "identity", "--splits", "Speech", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "by source" not in out


def test_the_list_names_codecs_and_metrics(capsys):
    assert reconstruction_command.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert "  codec2_700c" in out
    assert "metric stoi ↑ [1]" in out


def test_reasons_stand_below_the_table(capsys):
    arguments = ["--models", "identity", "--splits", "Audio", "--workers", "0", "--quiet", "--wide"]
    arguments += ["--metrics", "pesq"]
    assert reconstruction_command.main(arguments) == 0
    out = capsys.readouterr().out
    assert "(n=5)" in out
    assert "identity: no pesq: NoUtterancesError" in out
    assert "1 of 6 clips: audio-01" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "nothing"], "no codec is called 'nothing'"),
        (
            ["--models", "identity", "identity"],
            "two codecs are called identity; give one another name: LABEL=SPEC",
        ),
        (["--models", "identity", "--baseline", "x"], "--baseline 'x' is none of the codecs of this run: identity"),
        (["--models", "identity", "--metrics", "pesk"], "did you mean 'pesq'"),
        (["--models", "identity", "--dataset", "no-such-folder"], "no data set 'no-such-folder'"),
        (["--models", "identity", "--splits", "Speak"], "no split"),
        (["--models", "identity", "--checkpoint", "x"], "a checkpoint goes with exactly one named codec"),
        (["--models", "llmcodec", "--checkpoint", "no/such/checkpoint"], "no/such/checkpoint"),
    ],
)
def test_what_cannot_run_says_why_and_exits_2(arguments, message, capsys):
    assert reconstruction_command.main([*arguments, "--workers", "0", "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("superb_tiny: error: ")
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--workers", "-1", "expected a whole number of 0 or more, got '-1'"),
        ("--workers", "two", "expected a whole number of 0 or more, got 'two'"),
        ("--limit", "foo", "expected a whole number of 1 or more, got 'foo'"),
        ("--batch-size", "0", "expected a whole number of 1 or more, got '0'"),
    ],
)
def test_numbers_that_are_none_say_what_is_expected(option, value, expected, capsys):
    with pytest.raises(SystemExit) as caught:
        reconstruction_command.main([option, value])
    assert caught.value.code == 2
    assert f"argument {option}: {expected}" in capsys.readouterr().err


def refused(capsys, *arguments: str) -> str:
    """Run a command that must be refused before anything runs; returns its one line."""
    assert reconstruction_command.main(["--models", "identity", *arguments, *QUICK]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("superb_tiny: error: ")
    return line


@pytest.fixture
def no_run(monkeypatch):
    def never(*_, **__):
        pytest.fail("the run was started")

    monkeypatch.setattr(reconstruction_run, "run", never)


def test_a_device_that_is_not_there_is_refused(no_run, capsys, monkeypatch):
    def without_cuda(*_, **__):
        raise AssertionError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(torch, "empty", without_cuda)
    line = refused(capsys, "--device", "cuda")
    assert "cannot use the device 'cuda': Torch not compiled with CUDA enabled" in line


def test_an_output_that_cannot_be_is_refused_before_the_run(no_run, tmp_path, capsys, monkeypatch):
    file = tmp_path / "file"
    file.write_text("kept")
    for output in (file, file / "below"):
        assert f"{file} is a file; name a folder" in refused(capsys, "--output", str(output))
    assert file.read_text() == "kept"

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    output = str(tmp_path / "new" / "folder")
    assert refused(capsys, "--output", output).endswith(f"results to {output}: {tmp_path}: Permission denied")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_bad_parquet_file_is_refused_by_name(no_run, tmp_path, capsys):
    (tmp_path / "Speech.parquet").write_text("not parquet")
    assert f"cannot read {tmp_path / 'Speech.parquet'}" in refused(capsys, "--dataset", str(tmp_path))


def test_a_checkpoint_folder_is_used_and_named(tmp_path, tiny_codec, capsys):
    tiny_codec.save_pretrained(tmp_path / "mine")
    arguments = ["--models", "llmcodec", "--checkpoint", str(tmp_path / "mine"), "--splits", "Music", "--limit", "1"]
    assert reconstruction_command.main([*arguments, *QUICK]) == 0
    assert f"| mine {tiny_codec.weights_hash[:8]} |" in " ".join(capsys.readouterr().out.split())


def test_a_refused_mean_shows_no_number_and_the_legend_says_why():
    assert (
        "- refused: no mean, because more than 25% of the model's clips have no value"
        in reconstruction_table.legend((), None)
    )
    assert (
        reconstruction_table._cell(MetricSummary(n=0, failed=4, refused="4 of 5 clips have no value"), 5) == "refused"
    )


@pytest.mark.parametrize("how", [["eval/superb_tiny.py"], ["-m", "eval.superb_tiny"]])
def test_as_a_script_and_as_a_module_with_workers(how):
    command = [sys.executable, *how, "--models", "identity", "--splits", "Audio", "--limit", "1", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Audio: mini (synthetic), 1 clips")


def test_no_file_of_the_harness_hides_another_module():
    """As a script, Python puts eval/ first on the path."""
    names = {path.stem for path in (ROOT / "eval").iterdir() if path.suffix == ".py" and path.stem != "__init__"}
    assert not names & set(sys.stdlib_module_names)
    assert not names & set(packages_distributions())
