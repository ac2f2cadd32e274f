"""What a run may remove and write over: its own files, and no one else's."""

from __future__ import annotations

import json

import pytest

from eval.harness import manifest, results
from eval.reconstruction import reconstruction_command
from eval.reconstruction.reconstruction_schema import SCHEMA
from eval.salmon.salmon_schema import SCHEMA as SALMON

QUICK = ["--models", "fake", "--workers", "0", "--quiet", "--metrics", "stft", "--splits", "Speech", "--limit", "2"]


@pytest.fixture
def run(tmp_path, with_codecs, fake_codec):
    """Runs one fake codec into a folder, with further arguments; returns the exit code."""
    with_codecs(fake=lambda: fake_codec("fake", lambda x: 0.9 * x))
    return lambda *more: reconstruction_command.main(
        [*QUICK, "--report-clips", "1", "--output", str(tmp_path / "run"), *more]
    )


def test_overwriting_keeps_every_file_that_no_run_wrote(run, tmp_path):
    folder = tmp_path / "run"
    mine = ["samples/mine.wav", "samples/deep/er.wav", "voidful_evaluation_results.json", "a_not_for_reporting.json"]
    for name in mine:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    assert run() == 0
    before = (folder / "results.json").read_bytes()
    assert run("--overwrite") == 0
    assert [(folder / name).read_text() for name in mine] == mine
    assert (folder / "results.json").read_bytes() != before  # `created`, at least
    assert (folder / "samples" / "Speech-0000-fake.flac").is_file()


def test_overwriting_removes_what_the_earlier_run_alone_wrote(run, tmp_path):
    folder = tmp_path / "run"
    assert run() == 0
    assert run("--overwrite", "--report-clips", "0") == 0
    left = {path.name for path in folder.iterdir()}
    assert left == {*results.files(SCHEMA), "journal.jsonl", "run_files.jsonl"}


@pytest.mark.parametrize("name", ["results.json", "table.md", "report.html", "samples/Speech-0000-fake.flac"])
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_somebody_elses_file_is_never_written_over(run, tmp_path, capsys, name, more):
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    assert run(*more) == 2
    assert f"holds {name}, which no run of ours wrote" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert not (tmp_path / "run" / "journal.jsonl").exists()  # said before the run


def test_codec_superbs_own_result_file_is_not_written_over(tmp_path, with_codecs, fake_codec, capsys):
    with_codecs(fake=lambda: fake_codec("fake", lambda x: 0.9 * x))
    folder = tmp_path / "run"
    folder.mkdir()
    theirs = folder / "mini (synthetic)_not_for_reporting.json"
    theirs.write_text("{}")
    command = ["--models", "fake", "--compat", "codec-superb", "--workers", "0", "--quiet", "--limit", "1"]
    assert reconstruction_command.main([*command, "--output", str(folder)]) == 2
    assert theirs.name in capsys.readouterr().err
    assert theirs.read_text() == "{}"


@pytest.mark.parametrize("name", ["journal.jsonl", "run_files.jsonl"])
@pytest.mark.parametrize("more", [[], ["--resume"], ["--overwrite"]])
def test_the_names_of_our_own_lists_may_be_taken(run, tmp_path, capsys, name, more):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("my diary")
    assert run(*more) == 2
    assert f"{name} is no " in capsys.readouterr().err
    assert (tmp_path / "run" / name).read_text() == "my diary"


def test_a_run_from_before_there_were_lists_is_replaced_and_nothing_else(run, tmp_path):
    folder = tmp_path / "run"
    assert run() == 0
    for name in (manifest.NAME, "table.csv", "clips.csv", "table.tex"):  # such runs wrote no tables but table.md
        (folder / name).unlink()
    (folder / "samples" / "mine.wav").write_text("mine")
    assert run("--overwrite", "--report-clips", "0") == 0
    assert [path.name for path in (folder / "samples").iterdir()] == ["mine.wav"]


def test_a_stopped_run_from_before_there_were_lists_goes_on(run, tmp_path):
    folder = tmp_path / "run"
    assert run() == 0
    for name in (manifest.NAME, "results.json", "table.md", "report.html"):
        (folder / name).unlink()
    journal = folder / "journal.jsonl"
    journal.write_text(journal.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    assert run("--resume") == 0
    assert "samples/Speech-0000.flac" in manifest.listed(folder)


def test_a_list_names_nothing_outside_of_its_folder(tmp_path):
    folder, other = tmp_path / "run", tmp_path / "other"
    for place in (folder, other):
        place.mkdir()
    (other / "mine.txt").write_text("mine")
    (folder / "link").symlink_to(other, target_is_directory=True)
    with manifest.written(folder, "table.md") as path:
        path.write_text("table")
    with (folder / manifest.NAME).open("a", encoding="utf-8") as file:
        for name in ("../other/mine.txt", str(other / "mine.txt"), "link/mine.txt", ""):
            file.write(json.dumps({"file": name}) + "\n")
        file.write('{"file": "torn')
    manifest.discard(folder)
    assert (other / "mine.txt").read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["link"]


def test_a_file_is_listed_before_it_is_there(tmp_path):
    with pytest.raises(RuntimeError), manifest.written(tmp_path, "table.md"):
        raise RuntimeError("the process dies here")
    assert manifest.listed(tmp_path) == {"table.md"}


def test_the_pairs_of_a_salmon_run_from_before_there_were_lists(tmp_path):
    shown = {"positive": {"file": "samples/p-0000-positive.flac"}, "negative": {"file": "samples/p-0000-negative.flac"}}
    (tmp_path / "samples").mkdir()
    for name in ("p-0000-positive.flac", "p-0000-negative.flac", "p-0000.json", "mine.json"):
        (tmp_path / "samples" / name).write_text("{}")
    contents = {"schema": SALMON.name, "samples": [shown]}
    (tmp_path / "results.json").write_text(json.dumps(contents))
    manifest.discard(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine.json", "samples"]
