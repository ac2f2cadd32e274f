"""What superb_tiny prints without --wide, and its tables as CSV and LaTeX."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from eval.harness import command, manifest
from eval.reconstruction import reconstruction_command, report

QUICK = ["--workers", "0", "--quiet", "--metrics", "stft", "stoi"]


@pytest.fixture
def three(with_codecs, fake_codec):
    """A good codec, a bad one, and one that fails on a clip."""
    with_codecs(
        good=lambda: fake_codec("good", lambda x: 0.99 * x),
        bad=lambda: fake_codec("bad", lambda x: 0.2 * x),
        broken=lambda: fake_codec("broken", lambda x: 0.5 * x, ["speech-02"]),
    )
    return ["--models", "identity", "good", "bad", "broken", "--splits", "Speech", *QUICK]


def rows(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in out.splitlines() if line and not line.startswith("-")}


def test_the_table_fits_and_says_which_is_better(three, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert reconstruction_command.main(three) == 1
    out = capsys.readouterr().out
    shown = rows(out)
    assert shown["model"][:3] == ["model", "kbit/s", "failed"]
    assert shown["good"][:3] == ["good", "0.716", "0"]
    assert shown["broken"][2] == "1"
    # stft is a distance: a change of it to zero is better, to more is worse.
    stft = {name: shown[name][4][-1] for name in ("identity", "good", "bad")}
    assert stft["identity"] == "▲"
    assert stft["bad"] == "▼"
    assert "▲ better, ▼ worse than good on the same clips" in out
    assert "NOT FOR REPORTING (synthetic clips)" in out.replace("\n", " ")
    assert "- broken: no reconstruction: ValueError: cannot do ['speech-02'] (1 of 12 clips: speech-02)" in out
    assert "n=11" in out
    assert "all columns: --wide" in out
    assert "|" not in out


def test_it_can_be_printed_in_ascii(three, capsys, monkeypatch):
    monkeypatch.setattr(command, "show_what_can_be_shown", lambda: None)
    monkeypatch.setattr(type(sys.stdout), "encoding", "ascii", raising=False)
    reconstruction_command.main(three)
    out = capsys.readouterr().out
    assert out.isascii()


def test_csv_and_latex_stand_beside_the_table_and_are_the_runs_own(three, tmp_path, capsys):
    folder = tmp_path / "run"
    assert reconstruction_command.main([*three, "--output", str(folder)]) == 1
    contents = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["split"], row["model"]) for row in table] == [
        ("Speech", name) for name in ("identity", "good", "bad", "broken")
    ]
    figures = contents["models"][1]["splits"]["Speech"]["metrics"]["stft"]
    for key, name in (("mean", "stft"), ("low", "stft_low"), ("high", "stft_high"), ("n", "stft_n")):
        assert float(table[1][name]) == figures[key]
    assert (table[3]["failed"], table[3]["stft_failed"], table[3]["stft_n"]) == ("1", "1", "11")
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        clips = list(csv.DictReader(file))
    assert len(clips) == 4 * 12
    lost = next(row for row in clips if row["model"] == "broken" and row["clip_id"] == "speech-02")
    assert lost["stft"] == ""
    assert lost["reasons"].startswith("stft: no reconstruction: ValueError")
    tex = (folder / "table.tex").read_text(encoding="utf-8")
    assert tex.count(r"\begin{tabular}") == 1
    assert r"stft $\downarrow$" in tex
    assert "NOT FOR REPORTING" in tex
    # They are in the list of the run's files, so that a new run may take their places.
    assert {"table.csv", "clips.csv", "table.tex"} <= manifest.listed(folder)
    assert reconstruction_command.main([*three, "--output", str(folder), "--overwrite"]) == 1


def test_a_table_of_somebody_elses_is_not_written_over(three, tmp_path, capsys):
    (tmp_path / "table.csv").write_text("mine")
    assert reconstruction_command.main([*three, "--output", str(tmp_path)]) == 2
    assert "holds table.csv, which no run of ours wrote" in capsys.readouterr().err
    assert (tmp_path / "table.csv").read_text() == "mine"


def test_the_report_of_an_older_run_needs_none_of_them(three, tmp_path):
    assert reconstruction_command.main([*three, "--output", str(tmp_path)]) == 1
    for name in ("table.csv", "clips.csv", "table.tex"):
        (tmp_path / name).unlink()
    report.write(tmp_path)
    assert reconstruction_command.main([*three, "--output", str(tmp_path), "--resume"]) == 1
    assert (tmp_path / "table.csv").is_file()


def test_sources_and_published_rows_are_compact_too(capsys):
    arguments = ["--models", "identity", "--splits", "Speech", "--by-source", "--workers", "0", "--quiet"]
    assert reconstruction_command.main([*arguments, "--limit", "2", "--compat", "codec-superb", "--published"]) == 0
    out = capsys.readouterr().out
    assert "Speech by source" in out
    assert "dac_16k (published)" in out
    assert max(len(line) for line in out.splitlines() if line.startswith(("dac", "identity", "tts"))) <= 100


def test_a_long_run_says_how_long_it_takes(three, capsys):
    arguments = [argument for argument in three if argument != "--quiet"]
    assert reconstruction_command.main([*arguments, "--batch-size", "4"]) == 1
    assert capsys.readouterr().err.count("for 12 clips x 4 codecs") == 1
    reconstruction_command.main([*three, "--batch-size", "4"])
    assert "about" not in capsys.readouterr().err
