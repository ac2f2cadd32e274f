"""What data sets may look like, and what is said of those that cannot be used."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from eval.harness.command import INCOMPLETE
from eval.salmon.build import build_command, material_reading
from soundcodec_llmcodec.data import DataError

RATE = 16_000


def noise(seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def test_a_folder_of_sound_files_has_its_folders_as_kinds(tmp_path):
    for kind, name in (("rain", "a-0"), ("rain", "a-1"), ("rain", "b"), ("dogs", "a-0")):
        (tmp_path / kind).mkdir(exist_ok=True)
        soundfile.write(tmp_path / kind / f"{name}.wav", np.stack([noise(), noise(seed=1)], axis=1), RATE)
    read = material_reading.sounds(str(tmp_path))
    assert {(sound.name, sound.kind, sound.recording) for sound in read.items} == {
        ("dogs/a-0", "dogs", "dogs/a"),
        ("rain/a-0", "rain", "rain/a"),
        ("rain/a-1", "rain", "rain/a"),
        ("rain/b", "rain", "rain/b"),
    }
    assert read.title == tmp_path.name


def test_other_rates_and_column_names_and_a_split(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(1.0), 2 * RATE)
    stored = {"bytes": (tmp_path / "a.flac").read_bytes(), "path": "x/one.flac"}
    row = {"audio": stored, "sentence": "So it goes.", "speaker": 7, "sex": "female", "style": "sad", "language": "en"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "test-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist([row, row]), tmp_path / "train.parquet")
    (one,) = material_reading.speech(f"{tmp_path}:test").items
    assert (one.name, one.text, one.speaker, one.gender, one.emotion, one.lang) == (
        "one",
        "So it goes.",
        "7",
        "female",
        "sad",
        "en",
    )
    assert len(one.samples) == RATE / 2
    assert [item.name for item in material_reading.speech(f"{tmp_path}:train").items] == ["one", "one#1"]
    assert len(material_reading.speech(f"{tmp_path}:train", limit=1).items) == 1
    with pytest.raises(DataError, match="no split 'dev'"):
        material_reading.speech(f"{tmp_path}:dev")


def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        material_reading.speech("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no parquet files, no sound files"):
        material_reading.speech(str(tmp_path / "empty"))
    pq.write_table(pa.table({"text": ["hello"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="no column 'audio'"):
        material_reading.speech(str(tmp_path / "t.parquet"))


def test_unreadable_clips_are_named_and_the_rest_is_built(speech_folder, tmp_path, capsys):
    rows = pq.read_table(speech_folder / "train-00000-of-00001.parquet").to_pylist()
    rows[0]["audio"] = {"bytes": b"no sound", "path": None}
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    command = ["--speech", str(tmp_path), "--parts", "Speaker", "--out", str(tmp_path / "suite"), "--quiet"]
    assert build_command.main(command) == INCOMPLETE
    assert rows[0]["id"] in capsys.readouterr().err
    told = (tmp_path / "suite" / "speaker_consistency" / "metadata.jsonl").read_text()
    assert '"id": "0-0-1"' in told
    assert '"id": "0-0-0"' not in told
