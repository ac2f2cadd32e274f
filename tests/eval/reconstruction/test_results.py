"""What a run leaves in its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from eval.reconstruction import reconstruction_command

QUICK = ["--workers", "0", "--quiet", "--metrics", "stft", "stoi"]


@pytest.fixture
def folder(tmp_path, with_codecs, fake_codec):
    """A finished run of two fake codecs, one of which fails on a clip."""
    with_codecs(
        fake=lambda: fake_codec("fake", lambda x: 0.9 * x),
        bad=lambda: fake_codec("bad", lambda x: 0.5 * x, ["speech-02"]),
    )
    arguments = ["--models", "fake", "bad", "--splits", "Speech", "--limit", "4", "--report-clips", "1"]
    assert reconstruction_command.main([*arguments, "--output", str(tmp_path / "new" / "run"), *QUICK]) == 1
    return tmp_path / "new" / "run"


def test_the_files(folder, capsys):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    audio = [f"samples/Speech-0000{name}.flac" for name in ("-bad", "-fake", "")]
    ours = ["clips.jsonl", "journal.jsonl", "report.html", "results.json", "run_files.jsonl", "table.md"]
    ours += ["clips.csv", "table.csv", "table.tex"]
    assert names == sorted([*ours, *audio])


def test_everything_to_rerun_it_is_in_the_results(folder):
    contents = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert contents["schema_version"] == 2
    assert contents["for_reporting"] is False
    assert contents["mark"] == "NOT FOR REPORTING (--limit 4)"
    assert contents["rules"] is None
    assert contents["command_line"][:4] == ["superb_tiny", "--models", "fake", "bad"]
    assert contents["settings"] == {"batch_size": 8, "workers": 0, "device": "cpu", "limit": 4}
    assert contents["statistics"]["seed"] == 0
    assert {"python", "torch", "pesq", "pystoi", "soundcodec-llmcodec"} <= set(contents["versions"])
    assert contents["dataset"]["label"] == "mini (synthetic)"
    assert len(contents["dataset"]["fingerprint"]) == 64
    assert contents["dataset"]["clips"] == {"Speech": 4}
    assert contents["metrics"]["stoi"]["direction"] == "higher"
    assert contents["baseline"] == "fake"
    assert contents["failures"] == [
        {"model": "bad", "split": "Speech", "id": "speech-02", "reason": "ValueError: cannot do ['speech-02']"}
    ]


def test_a_codecs_numbers_follow_from_its_clips(folder):
    contents = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["model"], row["clip_id"]) for row in rows[:2]] == [("fake", "speech-01"), ("fake", "speech-02")]
    good, bad = ({row["clip_id"]: row["scores"]["stft"] for row in rows if row["model"] == m} for m in ("fake", "bad"))
    assert bad["speech-02"] is None
    model, other = contents["models"]
    assert (model["checkpoint"], model["checkpoint_hash"], model["bitrate_bps"]) == (
        "some-checkpoint",
        "ab" * 32,
        716.1,
    )
    speech = model["splits"]["Speech"]
    assert (speech["n"], speech["failures"], speech["codes_used"], speech["codes_total"]) == (4, [], 5, 20_480)
    assert speech["entropy_bits"] == pytest.approx(np.log2(5), abs=1e-3)
    assert speech["encode_rtf"] == pytest.approx(speech["encode_s"] / speech["timed_s"])
    assert speech["timed_s"] == pytest.approx(speech["audio_s"])
    paired = [clip_id for clip_id, value in bad.items() if value is not None]
    assert speech["metrics"]["stft"]["mean"] == pytest.approx(np.mean([good[clip_id] for clip_id in paired]))
    assert speech["against_baseline"] == {}
    against = other["splits"]["Speech"]["against_baseline"]["stft"]
    assert against["difference"] == pytest.approx(np.mean([bad[clip_id] - good[clip_id] for clip_id in paired]))
    assert (against["n"], against["p_value"]) == (3, 0.25)
    sources = speech["sources"]
    assert sum(part["n"] for part in sources.values()) == 4


def test_the_audio_to_listen_to_is_the_clips(folder, speech):
    contents = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    (sample,) = contents["samples"]
    assert (sample["split"], sample["clip_id"]) == ("Speech", "speech-01")
    original, rate = soundfile.read(folder / sample["original"], dtype="float32")
    assert rate == speech[0].rate
    np.testing.assert_allclose(original, speech[0].samples, atol=1e-4)
    made, _ = soundfile.read(folder / sample["models"]["bad"], dtype="float32")
    np.testing.assert_allclose(made, 0.5 * speech[0].samples, atol=1e-4)


def test_the_table_is_what_wide_prints(tmp_path, capsys):
    arguments = ["--models", "identity", "--splits", "Audio", "--limit", "1", "--output", str(tmp_path / "run"), *QUICK]
    assert reconstruction_command.main([*arguments, "--wide"]) == 0
    table = (tmp_path / "run" / "table.md").read_text(encoding="utf-8")
    assert table.strip() == capsys.readouterr().out.strip()


def test_a_failed_write_leaves_the_old_results(tmp_path, monkeypatch, capsys):
    arguments = ["--models", "identity", "--splits", "Audio", "--limit", "1", "--output", str(tmp_path), *QUICK]
    assert reconstruction_command.main(arguments) == 0

    def results():
        return {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    before = results()
    write = Path.write_text

    def half(path, text, **options):
        write(path, text[: len(text) // 2], **options)
        raise OSError("disk full")

    # Not so for what asks the system how much memory is taken.
    monkeypatch.setattr("eval.reconstruction.peak_memory._glibc", lambda: None)
    monkeypatch.setattr(Path, "write_text", half)
    assert reconstruction_command.main([*arguments, "--resume"]) == 2
    assert "disk full" in capsys.readouterr().err
    assert results() == before


def test_a_run_is_not_overwritten_unless_asked(tmp_path, capsys):
    arguments = ["--models", "identity", "--splits", "Audio", "--limit", "1", "--output", str(tmp_path), *QUICK]
    assert reconstruction_command.main(arguments) == 0
    before = (tmp_path / "results.json").read_bytes()
    assert reconstruction_command.main(arguments) == 2
    assert "holds a run already; --resume goes on with it" in capsys.readouterr().err
    assert (tmp_path / "results.json").read_bytes() == before
    assert reconstruction_command.main([*arguments, "--overwrite", "--models", "resample_16k"]) == 0
    contents = json.loads((tmp_path / "results.json").read_text())
    assert [model["name"] for model in contents["models"]] == ["resample_16k"]


def test_nothing_of_an_overwritten_run_is_taken_for_the_new_one(tmp_path, with_codecs, fake_codec):
    with_codecs(
        x=lambda: fake_codec("x", lambda x: x),
        bad=lambda: fake_codec("x", lambda x: x, [f"audio-0{i}" for i in range(9)]),
    )
    arguments = ["--splits", "Audio", "--limit", "2", "--output", str(tmp_path), *QUICK]
    assert reconstruction_command.main([*arguments, "--models", "x"]) == 0
    assert (tmp_path / "samples" / "Audio-0000-x.flac").is_file()
    assert reconstruction_command.main([*arguments, "--models", "bad", "identity", "--overwrite"]) == 1
    assert not (tmp_path / "samples" / "Audio-0000-x.flac").exists()
    contents = json.loads((tmp_path / "results.json").read_text())
    assert [list(sample["models"]) for sample in contents["samples"]] == [["identity"]] * 2


@pytest.mark.parametrize("option", ["--resume", "--overwrite"])
def test_going_on_needs_a_folder(option, capsys):
    with pytest.raises(SystemExit) as caught:
        reconstruction_command.main(["--models", "identity", option])
    assert caught.value.code == 2
    assert f"{option} goes with --output FOLDER" in capsys.readouterr().err
