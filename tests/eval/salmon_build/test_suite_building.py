"""The builder's command line: pairs that differ in one thing, the same bytes for the same seed, whole or nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from eval.harness.command import DONE, REFUSED
from eval.salmon.build import build_command, recognised_words, suite_writing
from soundcodec_llmcodec.measures.loudness import loudness

pytest.importorskip("pyroomacoustics")

VOICES = ("speaker_consistency", "gender_consistency", "sentiment_consistency")
SHORT = ["--shortest", "1.0", "--longest", "2.5", "--least-range", "10", "--rooms", "6", "--quiet"]


@pytest.fixture(scope="module")
def built(speech_folder, sound_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("suites") / "suite"
    command = ["--speech", str(speech_folder), "--sounds", str(sound_folder), "--pairs", "8", "--out", str(out), *SHORT]
    command += ["--license", f"{speech_folder.name}=CC BY 4.0"]
    assert build_command.main(command) == DONE
    return out, command


def metadata(folder: Path, part: str) -> list[dict]:
    return [json.loads(line) for line in (folder / part / "metadata.jsonl").read_text().splitlines()]


def members(folder: Path, part: str, index: int) -> list[np.ndarray]:
    paths = [folder / part / f"sample_{index}_{k}.wav" for k in (0, 1)]
    assert all((soundfile.info(path).samplerate, soundfile.info(path).subtype) == (16_000, "PCM_16") for path in paths)
    return [soundfile.read(path)[0] for path in paths]


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_pair_differs_in_its_second_half_only(built):
    folder, _ = built
    suite = json.loads((folder / "suite.json").read_text())
    assert set(suite["parts"]) == {*VOICES, "rir_consistency", "bg_all_consistency", "bg_domain_consistency"}
    for part, number in suite["parts"].items():
        told = metadata(folder, part)
        assert len(told) == number >= 4, part
        assert len(list((folder / part).glob("*.wav"))) == 2 * number
        for about in told:
            positive, negative = members(folder, part, int(about["pair_id"]))
            begin = about["cut_sample"] - about["fade_samples"] // 2
            end = begin + about["fade_samples"]
            assert len(positive) == len(negative) == about["n_samples"]
            assert np.array_equal(positive[:begin], negative[:begin])
            assert loudness(positive[end:], 16_000) == pytest.approx(loudness(negative[end:], 16_000), abs=0.1), part
            assert not np.array_equal(positive[end:], negative[end:])


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(built, tmp_path):
    folder, command = built
    again, other = tmp_path / "suite", tmp_path / "other" / "suite"
    command = [part for part in command if part != str(folder)]
    place = command.index("--out") + 1
    assert build_command.main([*command[:place], str(again), *command[place:]]) == 0
    assert digest(again) == digest(folder)
    assert build_command.main([*command[:place], str(other), *command[place:], "--seed", "1"]) == 0
    assert digest(other)["speaker_consistency/sample_0_0.wav"] != digest(folder)["speaker_consistency/sample_0_0.wav"]


@pytest.mark.parametrize("part", VOICES)
def test_a_voice_pair_differs_in_what_the_part_names(built, part):
    for about in metadata(built[0], part):
        head, tails = about["first_half"], about["second_half"]
        positive, negative = tails["positive"], tails["negative"]
        assert positive["text"] == negative["text"]
        assert positive["speaker"] == head["speaker"]
        assert positive["emotion"] == head["emotion"]
        # Spliced of two recordings, like the negative.
        assert about["positive_from"] == "another recording"
        assert positive["id"] != head["id"]
        differs = {key for key in ("speaker", "gender", "emotion") if negative[key] != positive[key]}
        assert (
            differs
            <= {
                "speaker_consistency": {"speaker", "gender"},
                "gender_consistency": {"speaker", "gender"},
                "sentiment_consistency": {"emotion"},
            }[part]
        )
        assert {"speaker_consistency": "speaker", "gender_consistency": "gender", "sentiment_consistency": "emotion"}[
            part
        ] in differs
        # Both are stretched by as much, one longer and one shorter.
        stretch = about["second_half_stretch"]
        assert stretch["positive"] * stretch["negative"] == pytest.approx(1.0, abs=0.01)
        assert max(stretch.values()) <= 1.25**0.5 + 0.01


@pytest.mark.parametrize("part", VOICES)
def test_no_recording_begins_two_pairs_or_ends_two_members_of_a_kind(built, part):
    told = metadata(built[0], part)
    for ids in (
        [about["first_half"]["id"] for about in told],
        [about["second_half"]["positive"]["id"] for about in told],
        [about["second_half"]["negative"]["id"] for about in told],
    ):
        assert len(set(ids)) == len(ids)


def test_the_cut_is_between_the_middle_words(built, speech_folder):
    import pyarrow.parquet as pq

    rows = {row["id"]: row for row in pq.read_table(speech_folder / "train-00000-of-00001.parquet").to_pylist()}
    for about in metadata(built[0], "speaker_consistency"):
        for told in (about["first_half"], *about["second_half"].values()):
            words = rows[told["id"]]["words"]
            assert words[2]["end"] - 0.03 <= told["cut_sample"] / 16_000 <= words[3]["start"] + 0.03


def test_metadata_and_suite_tell_the_sources(built):
    suite = json.loads((built[0] / "suite.json").read_text())
    assert (suite["format"], suite["name"], suite["synthetic"], suite["seed"]) == (
        "llmcodec-salmon-suite",
        "suite",
        False,
        0,
    )
    assert set(suite["left_out"]) == {"bg_alignment", "sentiment_alignment"}
    assert [source["role"] for source in suite["sources"]] == ["speech", "sounds"]
    assert [source["licences"] for source in suite["sources"]] == [["CC BY 4.0"], ["CC0"]]
    assert "/" not in suite["sources"][0]["data"]


def test_parts_that_cannot_be_had_are_errors_when_named(speech_folder, tmp_path, capsys):
    command = ["--speech", str(speech_folder), "--out", str(tmp_path / "x"), *SHORT]
    assert build_command.main([*command, "--parts", "bg_alignment"]) == REFUSED
    assert "sentences written for it" in capsys.readouterr().err
    assert build_command.main([*command, "--parts", "BG-All"]) == REFUSED
    assert "needs sounds" in capsys.readouterr().err
    assert build_command.main([*command, "--parts", "speakers"]) == REFUSED
    assert "Did you mean" in capsys.readouterr().err
    assert build_command.main([*command, "--license", "other=CC0"]) == REFUSED
    assert "expected NAME=TEXT" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_folder_with_something_else_is_never_replaced(built, speech_folder, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    command = ["--speech", str(speech_folder), "--parts", "speaker_consistency", *SHORT]
    assert build_command.main([*command, "--out", str(tmp_path / "mine"), "--overwrite"]) == REFUSED
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    with pytest.raises(ValueError, match="--overwrite replaces it"):
        suite_writing.check_folder(built[0], overwrite=False)
    suite_writing.check_folder(built[0], overwrite=True)


def test_a_suites_folder_with_somebody_elses_file_is_never_replaced(tmp_path):
    with suite_writing.written_whole(tmp_path / "suite") as place:
        suite_writing.write_part(place / "speaker_consistency", [])
        suite_writing.write_suite(place, {"parts": {"speaker_consistency": 0}})
    suite_writing.check_folder(tmp_path / "suite", overwrite=True)
    (tmp_path / "suite" / "speaker_consistency" / "mine.wav").write_text("mine")
    with pytest.raises(ValueError, match=r"holds speaker_consistency/mine\.wav, which no build wrote"):
        suite_writing.check_folder(tmp_path / "suite", overwrite=True)


def test_a_build_that_stops_leaves_nothing_and_keeps_the_old_one(tmp_path):
    folder = tmp_path / "suite"
    with suite_writing.written_whole(folder) as place:
        suite_writing.write_suite(place, {"name": "old"})

    def stop() -> None:
        with suite_writing.written_whole(folder) as place:
            suite_writing.write_suite(place, {"name": "new"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert json.loads((folder / "suite.json").read_text())["name"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["suite"]


def test_pairs_in_which_other_words_are_heard_are_left_out(speech_folder, tmp_path, monkeypatch):
    """The recogniser is a stand-in that mishears every second recording it is given."""
    monkeypatch.setattr(recognised_words, "check", lambda: None)
    heard = iter(range(1000))

    def half_deaf(samples: np.ndarray) -> tuple[str, ...]:
        text = "kids are talking by the door" if next(heard) % 4 < 2 else "cats"
        return tuple(text.split())

    monkeypatch.setattr(recognised_words, "recognised", half_deaf)
    out = tmp_path / "checked"
    command = ["--speech", str(speech_folder), "--parts", "Speaker", "--check-words", "--out", str(out), *SHORT]
    assert build_command.main(command) == 0
    suite = json.loads((out / "suite.json").read_text())
    told = metadata(out, "speaker_consistency")
    assert {about["text"] for about in told} == {"kids are talking by the door"}
    assert suite["dropped"]["speaker_consistency"] == {"the recogniser hears other words": 16 - len(told)}


def test_the_harness_reads_what_was_built(built):
    from eval.salmon import suites

    suite = suites.load(str(built[0]))
    told = json.loads((built[0] / "suite.json").read_text())
    assert dict(suite.sizes) == told["parts"]
    assert (suite.label, suite.synthetic) == ("suite", False)
    for part in suite.parts:
        for pair, about in zip(suite.pairs(part), metadata(built[0], part), strict=True):
            assert pair.about == about
            assert pair.positive.problem is None
            assert len(pair.positive.samples) == len(pair.negative.samples) == about["n_samples"]
