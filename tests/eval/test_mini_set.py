"""The committed mini set: what README.md beside it promises."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from eval.harness import corpora
from eval.harness.clips import CorpusClip

FOLDER = corpora.MINI_FOLDER
COUNTS = {"Speech": 12, "Music": 6, "Audio": 6}


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict]]:
    return {split: pq.read_table(FOLDER / "data" / f"{split}-00000-of-00001.parquet").to_pylist() for split in COUNTS}


@pytest.fixture(scope="module")
def clips(mini) -> list[CorpusClip]:
    return [clip for split in mini.splits for clip in mini.clips(split)]


def test_splits_and_columns(rows, mini):
    assert list(mini.splits) == ["Speech", "Music", "Audio"]
    assert {split: len(of_split) for split, of_split in rows.items()} == COUNTS
    columns = ["source", "audio", "id", "text", "lang", "voice", "provenance", "license"]
    assert all(list(row) == columns for of_split in rows.values() for row in of_split)


def test_size():
    assert sum(file.stat().st_size for file in (FOLDER / "data").iterdir()) < 3_000_000


def test_clips_are_3_to_5_seconds_at_mixed_rates(clips):
    assert all(3.0 <= clip.seconds <= 5.0 for clip in clips)
    assert {clip.rate for clip in clips} == {16_000, 24_000, 44_100, 48_000}
    assert all(clip.problem is None for clip in clips)


def test_ids_are_unique_and_name_the_files(rows):
    ids = [row["id"] for of_split in rows.values() for row in of_split]
    assert len(set(ids)) == 24
    assert all(row["audio"]["path"] == f"{row['id']}.flac" for of_split in rows.values() for row in of_split)


def test_no_two_clips_sound_alike(clips):
    assert len({clip.digest for clip in clips}) == len(clips)


def test_nothing_clips_and_nothing_is_silent(clips):
    for clip in clips:
        peak = np.abs(clip.samples).max()
        assert 0.25 < peak < 0.95, clip.clip_id
        assert np.sqrt(np.mean(clip.samples**2)) > 0.02, clip.clip_id
        assert abs(clip.samples.mean()) < 1e-3, clip.clip_id
        # Never half a second without a sound.
        blocks = clip.samples[: len(clip.samples) // (clip.rate // 2) * (clip.rate // 2)].reshape(-1, clip.rate // 2)
        assert np.abs(blocks).max(axis=1).min() > 0.003, clip.clip_id


def test_speech_has_texts_voices_and_languages(rows):
    speech = rows["Speech"]
    assert all(row["text"] and row["lang"] and row["voice"] for row in speech)
    assert len({row["text"] for row in speech}) == 12
    assert len({row["voice"] for row in speech}) >= 5
    assert Counter(row["lang"] for row in speech)["en"] >= 4
    assert len({row["lang"] for row in speech}) >= 2
    others = rows["Music"] + rows["Audio"]
    assert all(row["text"] is None and row["lang"] is None and row["voice"] is None for row in others)


def test_every_clip_says_where_it_is_from_and_under_which_licence(rows):
    assert all(row["source"] and row["provenance"] and row["license"] for part in rows.values() for row in part)


def test_datasets_loads_the_folder(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(FOLDER), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in loaded.items()} == COUNTS
    row = loaded["Speech"].cast_column("audio", datasets.Audio(decode=False))[0]
    assert row["audio"]["bytes"][:4] == b"fLaC"
    assert row["id"] == "speech-01"


def test_the_label_says_synthetic(mini):
    assert mini.label == "mini (synthetic)"
    assert mini.synthetic
    assert corpora.load(str(FOLDER)).label == "mini (synthetic)"


def test_music_and_sounds_are_made_anew_as_committed(rows):
    """The recipe and the files belong together; text to speech is left out, its packages are large."""
    import io

    import soundfile

    from eval.mini.build import MUSIC, SOUNDS, synthesized

    for split, pieces in (("Music", {"music-03": MUSIC["music-03"]}), ("Audio", {"audio-05": SOUNDS["audio-05"]})):
        (made,) = synthesized(pieces)
        stored = next(row for row in rows[split] if row["id"] == made["id"])
        a, b = (soundfile.read(io.BytesIO(row["audio"]["bytes"]))[0] for row in (made, stored))
        np.testing.assert_allclose(a, b, atol=2 / 32768)
        assert {k: v for k, v in made.items() if k != "audio"} == {k: v for k, v in stored.items() if k != "audio"}
