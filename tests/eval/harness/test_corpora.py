"""Data sets: every way in, ids that pair clips, and unreadable clips that say so."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from eval.harness import corpora
from eval.harness.clips import ClipCorpus, fingerprint
from soundcodec_llmcodec.data import DataError, Split


def flac(samples: np.ndarray, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC")
    return buffer.getvalue()


def row(name: str, seed: int = 0, **more) -> dict:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(8000)
    return {"source": "somewhere", "audio": {"bytes": flac(samples), "path": name}, **more}


def parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def corpus(rows) -> ClipCorpus:
    return ClipCorpus("x", "x", False, {"Speech": Split(len(rows), lambda: rows)})


def test_a_folder_in_codec_superb_tinys_shape(tmp_path):
    parquet(tmp_path / "data" / "Music-00000-of-00001.parquet", [row("m1.flac")])
    parquet(tmp_path / "data" / "Speech-00000-of-00002.parquet", [row("s1.flac"), row("s2.flac", 1)])
    parquet(tmp_path / "data" / "Speech-00001-of-00002.parquet", [row("s3.flac", 2)])
    loaded = corpora.load(str(tmp_path))
    assert list(loaded.splits) == ["Speech", "Music"]
    assert loaded.splits["Speech"].size == 3
    assert [clip.clip_id for clip in loaded.clips("Speech")] == ["s1", "s2", "s3"]
    assert [clip.clip_id for clip in loaded.clips("Speech", limit=2)] == ["s1", "s2"]
    assert not loaded.synthetic
    clip = next(loaded.clips("Music"))
    assert (clip.source, clip.rate, clip.samples.dtype, clip.samples.shape) == (
        "somewhere",
        16_000,
        np.float32,
        (8000,),
    )


def test_a_saved_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = [row("a.flac"), row("b.flac", 1)]
    saved = datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio())
    datasets.DatasetDict({"Speech": saved}).save_to_disk(str(tmp_path / "saved"))
    loaded = corpora.load(str(tmp_path / "saved"))
    assert list(loaded.splits) == ["Speech"]
    assert [clip.clip_id for clip in loaded.clips("Speech")] == ["a", "b"]
    assert len(next(loaded.clips("Speech")).samples) == 8000


def test_an_id_column_comes_before_the_path():
    (clip,) = corpus([row("a.flac", id="mine")]).clips("Speech")
    assert clip.clip_id == "mine"


def test_repeated_ids_are_told_apart():
    clips = corpus([row("a.flac", id="mine"), row("b.flac", 1, id="mine")]).clips("Speech")
    assert [clip.clip_id for clip in clips] == ["mine", "mine#1"]


def test_a_split_without_rows_is_found_before_any_work(tmp_path):
    """Of no clips, every clip is reconstructed."""
    parquet(tmp_path / "Speech.parquet", [row("a.flac")])
    pq.write_table(pa.Table.from_pylist([row("a.flac")]).slice(0, 0), tmp_path / "Music.parquet")
    loaded = corpora.load(str(tmp_path))
    loaded.check(["Speech"])
    with pytest.raises(DataError, match="Music has no rows"):
        loaded.check(loaded.chosen(None))


def test_an_id_may_be_zero():
    clips = corpus([row("a.flac", id=0), row("b.flac", 1, id=1)]).clips("Speech")
    assert [clip.clip_id for clip in clips] == ["0", "1"]


def test_a_clip_is_another_when_anything_that_a_score_hangs_on_is():
    keys = [
        next(corpus([change]).clips("Speech")).key
        for change in (
            row("a.flac"),
            row("a.flac", 1),
            row("b.flac"),
            row("a.flac", text="x"),
            row("a.flac", lang="en"),
        )
    ]
    assert len(set(keys)) == 5
    assert next(corpus([row("a.flac")]).clips("Speech")).key == keys[0]


def test_a_name_that_is_no_text_is_refused_by_name(tmp_path):
    sound(tmp_path / "a\udcff.flac")
    with pytest.raises(DataError, match="no valid Unicode text"):
        corpora.load(str(tmp_path))


def test_files_of_one_name_are_told_apart_where_there_are_no_ids():
    """A data set's rows may come from many corpora, each with a 0001.wav."""
    clips = corpus([row("a.flac"), row("x/a.flac", 1), row("b.flac", 2)]).clips("Speech")
    assert [clip.clip_id for clip in clips] == ["a", "a#1", "b"]


def test_text_language_and_corpus_are_told():
    rows = [{**row("a.flac"), "text": "Hello", "lang": "en"}, {**row("b.flac", 1), "source": None, "corpus": "ravdess"}]
    a, b = corpus(rows).clips("Speech")
    assert (a.text, a.lang, a.source) == ("Hello", "en", "somewhere")
    assert (b.text, b.lang, b.source) == (None, None, "ravdess")


def test_a_single_parquet_file(tmp_path):
    parquet(tmp_path / "validation-00000-of-00001.parquet", [row("a.flac")])
    loaded = corpora.load(str(tmp_path / "validation-00000-of-00001.parquet"))
    assert [clip.clip_id for clip in loaded.clips("validation")] == ["a"]


def sound(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(row("x.flac", seed)["audio"]["bytes"])


def test_a_folder_of_sound_files(tmp_path):
    for seed, name in enumerate(["one/a.flac", "two/a.wav", "b.ogg", "two/.hidden.flac", "notes.txt"]):
        sound(tmp_path / name, seed)
    sound(tmp_path / "two" / "a.mp3", 7)
    loaded = corpora.load(str(tmp_path))
    assert {split: part.size for split, part in loaded.splits.items()} == {"all": 4}
    clips = {clip.clip_id: clip for clip in loaded.clips("all")}
    assert set(clips) == {"b", "one/a", "two/a.mp3", "two/a.wav"}
    assert {clip_id: clip.source for clip_id, clip in clips.items()} == {
        "b": tmp_path.name,
        "one/a": "one",
        "two/a.mp3": "two",
        "two/a.wav": "two",
    }
    assert clips["one/a"].samples.shape == (8000,)


def test_folders_of_codec_superbs_domains_are_splits(tmp_path):
    for seed, name in enumerate(["Music/x/m.flac", "Speech/a.flac", "Speech/b.flac"]):
        sound(tmp_path / name, seed)
    loaded = corpora.load(str(tmp_path))
    assert {split: part.size for split, part in loaded.splits.items()} == {"Speech": 2, "Music": 1}
    assert [clip.clip_id for clip in loaded.clips("Music")] == ["x/m"]
    sound(tmp_path / "other.flac", 9)
    assert list(corpora.load(str(tmp_path)).splits) == ["all"]


def test_channels_are_averaged():
    stereo = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    (clip,) = corpus([{"source": "s", "audio": {"bytes": flac(stereo), "path": "a.flac"}}]).clips("Speech")
    np.testing.assert_allclose(clip.samples, np.full(100, 0.125), atol=1e-4)


def test_unreadable_audio_is_a_problem_of_its_clip_alone():
    rows = [
        row("a.flac"),
        {"source": "s", "audio": {"bytes": b"not audio", "path": "b.flac"}},
        {"source": "s", "audio": {"bytes": None, "path": "c.flac"}},
    ]
    a, b, c = corpus(rows).clips("Speech")
    assert a.problem is None
    assert b.problem == "unreadable audio: Format not recognised."  # the same for each such file
    assert "holds no audio" in c.problem


def test_splits_by_name_without_case():
    loaded = corpus([row("a.flac")])
    assert loaded.chosen(["speech"]) == ("Speech",)
    assert loaded.chosen(None) == ("Speech",)
    with pytest.raises(DataError, match=r"no split 'Spech'; did you mean 'Speech'\? its splits are \['Speech'\]"):
        loaded.chosen(["Spech"])


@pytest.mark.parametrize("name", ["no/such/folder/here", "nothing"])
def test_an_unknown_data_set_is_refused(name):
    with pytest.raises(DataError, match="expected a folder"):
        corpora.load(name)


def test_a_folder_without_audio_is_refused(tmp_path):
    with pytest.raises(DataError, match="no parquet files, no sound files"):
        corpora.load(str(tmp_path))
    parquet(tmp_path / "x.parquet", [{"text": "words"}])
    with pytest.raises(DataError, match=r"no column 'audio'; it has \['text'\]"):
        corpora.load(str(tmp_path))


def test_a_bad_parquet_file_is_named(tmp_path):
    parquet(tmp_path / "Speech.parquet", [row("a.flac")])
    parquet(tmp_path / "Music.parquet", [row("m.flac")])
    whole = (tmp_path / "Music.parquet").read_bytes()
    for broken in (b"", b"not parquet at all", whole[:-20]):
        (tmp_path / "Music.parquet").write_bytes(broken)
        with pytest.raises(DataError, match=r"Music\.parquet as parquet: "):
            corpora.load(str(tmp_path))


def test_a_parquet_file_that_breaks_in_the_middle_is_named(tmp_path):
    parquet(tmp_path / "Music.parquet", [row("m.flac")])
    whole = (tmp_path / "Music.parquet").read_bytes()
    (tmp_path / "Music.parquet").write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    loaded = corpora.load(str(tmp_path))
    with pytest.raises(DataError, match=r"Music\.parquet as parquet: "):
        list(loaded.clips("Music"))


def test_the_fingerprint_is_of_the_audio_and_not_of_the_order():
    clips = [("Speech", "a", "1"), ("Speech", "b", "2")]
    assert fingerprint(clips) == fingerprint(clips[::-1])
    assert fingerprint(clips) != fingerprint([("Speech", "a", "1"), ("Speech", "b", "3")])
    assert fingerprint(clips) != fingerprint(clips[:1])
