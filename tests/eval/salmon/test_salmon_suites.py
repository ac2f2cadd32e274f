"""Suites from a folder and from the hub's format."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from eval.salmon import suites
from eval.salmon.suite import SuiteError

PART = "speaker_consistency"


def wav(value: float, rate: int = 16_000, channels: int = 1, subtype: str = "PCM_16") -> bytes:
    stored = io.BytesIO()
    soundfile.write(stored, np.full((400, channels), value), rate, format="WAV", subtype=subtype)
    return stored.getvalue()


def put(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


@pytest.fixture
def folder(tmp_path) -> Path:
    for index in (10, 2):
        for k in (0, 1):
            put(tmp_path, f"{PART}/sample_{index}_{k}.wav", wav(index / 100 + k / 10))
    put(tmp_path, "rir_consistency/sample_0_0.wav", wav(0.1, rate=44_100))
    put(tmp_path, "rir_consistency/sample_0_1.wav", wav(0.2, rate=44_100))
    put(tmp_path, "rir_consistency/sample_0_2.wav", wav(0.3, rate=44_100))
    return tmp_path


def test_a_folder_s_pairs_come_by_number(folder):
    suite = suites.load(str(folder))
    assert suite.sizes == {PART: 2, "rir_consistency": 2}
    assert suite.parts == (PART, "rir_consistency")
    assert (suite.label, suite.synthetic, suite.revision) == (folder.name, False, None)
    pairs = list(suite.pairs(PART))
    assert [pair.pair_id for pair in pairs] == ["2", "10"]
    assert pairs[0].positive.samples == pytest.approx(np.full(400, 0.02), abs=1e-4)
    assert pairs[0].negative.samples == pytest.approx(np.full(400, 0.12), abs=1e-4)
    assert pairs[0].positive.rate == 16_000
    stored = (folder / PART / "sample_2_0.wav").read_bytes()
    assert pairs[0].positive.digest == hashlib.sha256(stored).hexdigest()
    assert pairs[0].part == PART
    assert pairs[0].about == {}


def test_each_negative_is_a_pair_with_the_positive(folder):
    first, second = suites.load(str(folder)).pairs("rir_consistency")
    assert (first.pair_id, second.pair_id) == ("0", "0_2")
    assert first.positive.digest == second.positive.digest
    assert second.negative.samples[0] == pytest.approx(0.3, abs=1e-4)
    assert first.negative.rate == 44_100


def test_what_a_suite_tells_of_itself_and_of_its_pairs(folder):
    told = {"name": "mine", "label": "mine (synthetic)", "synthetic": True}
    put(folder, "suite.json", json.dumps(told).encode())
    rows = [{"pair_id": "10", "seed": 7}, {"pair_id": "2", "seed": 3}, {"file_name": "sample_2_0.wav"}]
    put(folder, f"{PART}/metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    suite = suites.load(str(folder))
    assert (suite.label, suite.synthetic) == ("mine (synthetic)", True)
    assert [pair.about["seed"] for pair in suite.pairs(PART)] == [3, 7]
    revision = suite.revision
    put(folder, "suite.json", json.dumps({**told, "seed": 2}).encode())
    assert suites.load(str(folder)).revision != revision


def test_channels_are_averaged_and_other_endings_read(folder):
    stereo = io.BytesIO()
    soundfile.write(stereo, np.stack([np.full(800, 0.5), np.full(800, 0.1)], 1), 8_000, format="FLAC")
    put(folder, "extra/sample_0_0.flac", stereo.getvalue())
    put(folder, "extra/sample_0_1.FLAC", stereo.getvalue())
    put(folder, "extra/notes.txt", b"not a sample")
    suite = suites.load(str(folder))
    assert suite.parts == (PART, "rir_consistency", "extra")  # SALMon's parts first
    (pair,) = suite.pairs("extra")
    assert pair.positive.samples == pytest.approx(np.full(800, 0.3), abs=1e-3)
    assert pair.positive.rate == 8_000


def test_unreadable_and_empty_files_are_problems_of_their_pairs(folder):
    put(folder, f"{PART}/sample_2_1.wav", b"RIFF nonsense")
    empty = io.BytesIO()
    soundfile.write(empty, np.zeros((0, 1)), 16_000, format="WAV")
    put(folder, f"{PART}/sample_10_0.wav", empty.getvalue())
    first, second = suites.load(str(folder)).pairs(PART)
    assert first.positive.problem is None
    assert first.negative.problem.startswith("unreadable audio")
    assert second.positive.problem == "unreadable audio: it has no samples"


def test_a_sample_without_its_other_is_refused_by_name(folder):
    (folder / PART / "sample_10_0.wav").unlink()
    with pytest.raises(SuiteError, match=r"sample_10, are no pairs: expected sample_<i>_0"):
        suites.load(str(folder))


def test_two_files_of_one_sample_are_refused(folder):
    put(folder, f"{PART}/sample_2_0.flac", b"")
    with pytest.raises(SuiteError, match="are one sample"):
        suites.load(str(folder))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("suite.json", b"[1]", "no description of a suite, but list"),
        ("suite.json", b"{", "cannot be read as JSON"),
        (f"{PART}/metadata.jsonl", b'{"pair_id": 2}\n{"index": 10\n', "line 2, cannot be read as JSON"),
    ],
)
def test_damaged_descriptions_are_refused(folder, file, content, message):
    put(folder, file, content)
    with pytest.raises(SuiteError, match=message):
        list(suites.load(str(folder)).pairs(PART))


def test_what_is_no_suite_is_refused(tmp_path):
    with pytest.raises(SuiteError, match="is no suite: expected a folder a part"):
        suites.load(str(tmp_path))
    with pytest.raises(SuiteError, match="no suite 'salmon': expected 'mini'"):
        suites.load("salmon")
    with pytest.raises(SuiteError, match=r"no suite '\./missing'"):
        suites.load("./missing")


# -- the hub's format, from a copy of such a repository ----------------------------------------------------------------
def hub_copy(folder: Path, rows: dict[str, list[dict]], columns: tuple[str, str] = suites._AUDIO_COLUMNS) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    kinds = [("task", pa.string()), ("ind", pa.int64()), *((column, audio) for column in columns)]
    configs = []
    for part, found in rows.items():
        (folder / part).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(found, schema=pa.schema(kinds)), folder / part / "train-00000.parquet")
        configs.append(f"- config_name: {part}\n  data_files:\n  - split: train\n    path: {part}/train-*\n")
    (folder / "README.md").write_text(f"---\nconfigs:\n{''.join(configs)}---\n")
    return folder


def row(part: str, ind: int, positive: bytes, negative: bytes) -> dict:
    sounds = {"positive_audio": positive, "negative_audio": negative}
    return {"task": part, "ind": ind, **{name: {"bytes": sound, "path": None} for name, sound in sounds.items()}}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def test_the_hub_s_configurations_are_parts(tmp_path):
    rows = {
        PART: [row(PART, 5, wav(0.1), wav(0.2)), row(PART, 3, wav(0.3), wav(0.4))],
        "bg_alignment": [row("bg_alignment", 0, wav(0.5, 44_100), wav(0.6, 44_100))],
    }
    suite = suites.load(str(hub_copy(tmp_path / "SALMon", rows)))
    assert suite.sizes == {PART: 2, "bg_alignment": 1}
    assert (suite.label, suite.synthetic) == ("SALMon", False)
    first, second = suite.pairs(PART)
    assert (first.pair_id, second.pair_id) == ("5", "3")
    assert first.about == {"task": PART, "ind": 5}
    assert second.negative.samples == pytest.approx(np.full(400, 0.4), abs=1e-4)
    assert second.negative.digest == hashlib.sha256(wav(0.4)).hexdigest()
    (only,) = suite.pairs("bg_alignment")
    assert only.positive.rate == 44_100


def test_rows_of_one_number_and_without_audio_are_told_apart(tmp_path):
    rows = {PART: [row(PART, 0, wav(0.1), wav(0.2)), row(PART, 0, wav(0.3), b"")]}
    first, second = suites.load(str(hub_copy(tmp_path / "copy", rows))).pairs(PART)
    assert (first.pair_id, second.pair_id) == ("0", "0#1")
    assert second.negative.problem == "it holds no audio (0 bytes)"


def test_other_columns_are_refused(tmp_path):
    rows = {PART: [{"task": PART, "ind": 0, "positive_audio": None, "audio": None}]}
    copy = hub_copy(tmp_path / "copy", rows, columns=("positive_audio", "audio"))
    with pytest.raises(SuiteError, match=r"no columns \['negative_audio'\]"):
        list(suites.load(str(copy)).pairs(PART))


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch):
    import datasets

    def offline(name: str) -> list[str]:
        raise ConnectionError("no network here")

    monkeypatch.setattr(datasets, "get_dataset_config_names", offline)
    with pytest.raises(SuiteError, match=r"'slprl/SALMon' is neither a folder here nor .* no network here"):
        suites.load(suites.HUB_ID)


@pytest.mark.network
def test_salmon_itself():
    suite = suites.load(suites.HUB_ID)
    assert set(suite.sizes.values()) == {200}
    assert len(suite.sizes) == 8
    pair = next(suite.pairs("bg_alignment"))
    assert pair.positive.problem is None
