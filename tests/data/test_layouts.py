"""A table of layouts that data sets have, through all four readers: the same ids, texts and audio from each."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from eval.harness import corpora
from eval.salmon.build import material_reading
from soundcodec_llmcodec.data import DataError, open_dataset
from soundcodec_llmcodec.data.token_corpus import TokenCorpus
from soundcodec_llmcodec.data.tokenizing import TokenizingPlan, split_name, tokenize
from soundcodec_llmcodec.train.crops import open_corpus

RATE = 16_000
NAMES = ("1-2-a", "1-2-b", "1-2-c")
TEXTS = ("ONE TWO", "THREE", None)
Read = list[tuple[str, str | None, list[int]]]


def wave(index: int) -> np.ndarray:
    return (3_000 * np.random.default_rng(index).standard_normal(1_600 + 320 * index)).astype(np.int16)


def stored(index: int, form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave(index), RATE, format=form, subtype="PCM_16")
    return file.getvalue()


def samples(index: int) -> np.ndarray:
    return soundfile.read(io.BytesIO(stored(index)), dtype="float32")[0]


def written(folder: Path, ending: str = ".wav") -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(NAMES):
        (folder / f"{name}{ending}").write_bytes(stored(index, {".aiff": "AIFF", ".flac": "FLAC"}.get(ending, "WAV")))
    return [f"{name}{ending}" for name in NAMES]


def table(audio: list[Any], **columns: Any) -> pa.Table:
    return pa.table({"audio": audio, "text": list(TEXTS), **columns})


def put(path: Path, made: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path)


def both(with_path: str = "{}.wav") -> list[dict[str, Any]]:
    return [{"bytes": stored(index), "path": with_path.format(name)} for index, name in enumerate(NAMES)]


def arrays() -> list[dict[str, Any]]:
    return [{"array": samples(index).tolist(), "sampling_rate": RATE} for index in range(3)]


def parquet_with_ids(folder: Path) -> str:
    put(folder / "train-00000-of-00001.parquet", table(both("x.wav"), id=list(NAMES)))
    return str(folder)


def parquet_with_sources_alone(folder: Path) -> str:
    put(folder / "data" / "Speech-00000-of-00001.parquet", table(both("somewhere/{}.flac"), source=["corpus"] * 3))
    return f"{folder}:Speech"


def a_single_parquet_file(folder: Path) -> str:
    put(folder / "any.parquet", table(both()))
    return str(folder / "any.parquet")


def parquet_of_bytes(folder: Path) -> str:
    put(folder / "train.parquet", table([stored(index) for index in range(3)], id=list(NAMES)))
    return str(folder)


def parquet_of_relative_paths(folder: Path) -> str:
    names = written(folder / "clips")
    put(folder / "data" / "train-00000-of-00001.parquet", table([f"clips/{name}" for name in names]))
    return f"{folder}:train"


def parquet_of_paths_in_structs(folder: Path) -> str:
    names = written(folder / "data" / "clips")
    put(folder / "data" / "train.parquet", table([{"bytes": None, "path": f"clips/{name}"} for name in names]))
    return str(folder)


def parquet_of_arrays(folder: Path) -> str:
    put(folder / "train.parquet", table(arrays(), id=list(NAMES)))
    return str(folder)


def parquet_of_lists_with_a_rate_column(folder: Path) -> str:
    lists = [samples(index).tolist() for index in range(3)]
    put(folder / "train.parquet", table(lists, id=list(NAMES), sampling_rate=[RATE] * 3))
    return str(folder)


def parquet_in_shards(folder: Path) -> str:
    made = table(both())
    for index in range(3):
        put(folder / f"train-{index:05d}-of-00003.parquet", made.slice(index, 1))
    return str(folder)


def a_folder_of_configurations(folder: Path) -> str:
    put(folder / "clean" / "train-00000-of-00001.parquet", table(both()))
    put(folder / "other" / "train-00000-of-00001.parquet", table(both()[:1] * 3))
    return f"{folder}:clean/train"


def a_configuration(folder: Path) -> str:
    a_folder_of_configurations(folder)
    return f"{folder / 'clean'}:train"


def the_hubs_converted_layout(folder: Path) -> str:
    put(folder / "default" / "train" / "0000.parquet", table(both()))
    put(folder / "default" / "test" / "0000.parquet", table(both()[:1] * 3))
    return f"{folder}:train"


def saved(folder: Path, data: dict[str, Any], cast: bool = False) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"text": list(TEXTS), **data})
    made = made.cast_column("audio", datasets.Audio()) if cast else made
    datasets.DatasetDict({"dev": made}).save_to_disk(str(folder))


def saved_arrays(folder: Path) -> str:
    saved(folder / "set", {"audio": arrays(), "id": list(NAMES)})
    return str(folder / "set")


def saved_audio(folder: Path) -> str:
    saved(folder / "set", {"audio": [str(folder / "clips" / name) for name in written(folder / "clips")]}, cast=True)
    return f"{folder / 'set'}:dev"


def librispeech(folder: Path) -> str:
    written(folder / "dev-clean" / "1" / "2", ".flac")
    lines = [f"{name} {text}\n" for name, text in zip(NAMES, TEXTS, strict=True) if text]
    (folder / "dev-clean" / "1" / "2" / "1-2.trans.txt").write_text("".join(lines))
    return f"{folder / 'dev-clean' / '1'}:2"


def sounds_with_metadata(folder: Path) -> str:
    names = written(folder, ".aiff")
    (folder / "metadata.csv").write_text(
        "file_name,transcription\n" + "".join(f'{n},"{t or ""}"\n' for n, t in zip(names, TEXTS, strict=True))
    )
    return str(folder)


def sounds_of_a_split_with_metadata_above(folder: Path) -> str:
    names = written(folder / "train")
    lines = [f'{{"file_name": "train/{name}", "text": "{text}"}}\n' for name, text in zip(names, TEXTS, strict=True)]
    (folder / "metadata.jsonl").write_text("".join(lines[:2]))
    return f"{folder}:train"


def ljspeech(folder: Path) -> str:
    written(folder / "wavs")
    lines = [f"{name}|as written|{text or ''}\n" for name, text in zip(NAMES, TEXTS, strict=True)]
    (folder / "metadata.csv").write_text("".join(lines))
    return f"{folder}:wavs"


def sounds_among_hidden_files(folder: Path) -> str:
    sounds_with_metadata(folder)
    for name in ("._1-2-a.wav", ".cache/x.wav", "__MACOSX/1-2-a.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7" * 40)
    return str(folder)


LAYOUTS: list[Callable[[Path], str]] = [
    parquet_with_ids,
    parquet_with_sources_alone,
    a_single_parquet_file,
    parquet_of_bytes,
    parquet_of_relative_paths,
    parquet_of_paths_in_structs,
    parquet_of_arrays,
    parquet_of_lists_with_a_rate_column,
    parquet_in_shards,
    a_folder_of_configurations,
    a_configuration,
    the_hubs_converted_layout,
    saved_arrays,
    saved_audio,
    librispeech,
    sounds_with_metadata,
    sounds_of_a_split_with_metadata_above,
    ljspeech,
    sounds_among_hidden_files,
]


def by_training(place: str, folder: Path, _: Any) -> Read:
    corpus = open_corpus([place], RATE, folder / "cache")
    assert not corpus.bad
    parts = [corpus.samples[low:high] for low, high in zip(corpus.offsets, corpus.offsets[1:], strict=False)]
    return [(*about, part.tolist()) for *about, part in zip(corpus.ids, corpus.texts, parts, strict=True)]


def by_tokenizing(place: str, folder: Path, codec: Any) -> Read:
    assert tokenize(codec, TokenizingPlan(place, "some"), folder / "tokens").failed == 0
    clips = list(TokenCorpus.open(str(folder / "tokens")).clips())
    return [(clip.clip_id, clip.text, clip.codes.tolist()) for clip in clips]


def by_evaluation(place: str, _: Path, __: Any) -> Read:
    corpus = corpora.load(place)
    (split,) = corpus.chosen(None)
    corpus.check([split])
    clips = list(corpus.clips(split))
    assert not any(clip.problem for clip in clips)
    return [(clip.clip_id, clip.text, as_stored(clip.samples)) for clip in clips]


def by_the_suite_builder(place: str, _: Path, __: Any) -> Read:
    read = material_reading.speech(place)
    assert not read.unreadable
    return [(item.name, item.text, as_stored(item.samples)) for item in read.items]


def as_stored(clip: np.ndarray) -> list[int]:
    return np.round(np.clip(clip, -1, 1) * 32_767).astype(np.int16).tolist()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_all_readers_give_the_same_rows(layout, tiny_codec, tmp_path):
    place = layout(tmp_path / "given")
    expected = [
        (name, text, as_stored(samples(index))) for index, (name, text) in enumerate(zip(NAMES, TEXTS, strict=True))
    ]
    for reader in (by_training, by_evaluation, by_the_suite_builder):
        assert reader(place, tmp_path, tiny_codec) == expected, reader.__name__
    codes = [tiny_codec.encode(samples(index), RATE).unit.reshape(-1).tolist() for index in range(3)]
    assert by_tokenizing(place, tmp_path, tiny_codec) == [
        (name, text, unit) for name, text, unit in zip(NAMES, TEXTS, codes, strict=True)
    ]


READERS = [by_training, by_tokenizing, by_evaluation, by_the_suite_builder]


@pytest.mark.parametrize("reader", READERS)
def test_numbers_are_ids_and_texts(reader, tiny_codec, tmp_path):
    columns = {"id": [0, 1, 2], "text": [7, None, 9], "speaker_id": [4.0, None, 5.0]}
    put(tmp_path / "set" / "train.parquet", pa.table({"audio": both(), **columns}))
    found = [row[:2] for row in reader(str(tmp_path / "set"), tmp_path, tiny_codec)]
    assert found == [("0", "7"), ("1", None), ("2", "9")]
    assert [row.speaker for row in open_dataset(str(tmp_path / "set")).rows()] == ["4", None, "5"]


@pytest.mark.parametrize("reader", READERS)
def test_rows_of_one_name_are_told_apart_alike(reader, tiny_codec, tmp_path):
    """Also where the name that would tell them apart is another row's."""
    put(tmp_path / "set" / "train.parquet", table(both(), id=["a#1", "a", "a"]).slice(0, 3))
    found = [row[0] for row in reader(str(tmp_path / "set"), tmp_path, tiny_codec)]
    assert found == ["a#1", "a", "a#2"]
    put(tmp_path / "more" / "train.parquet", table(both(), id=["a", "a", "a#1"]))
    (tmp_path / "again").mkdir()
    found = [row[0] for row in reader(str(tmp_path / "more"), tmp_path / "again", tiny_codec)]
    assert found == ["a", "a#1", "a#1#2"]


@pytest.mark.parametrize("reader", READERS)
def test_a_set_of_no_rows_is_an_error(reader, tiny_codec, tmp_path):
    put(tmp_path / "set" / "train.parquet", table(both()).slice(0, 0))
    with pytest.raises(DataError, match="has no rows"):
        reader(str(tmp_path / "set"), tmp_path, tiny_codec)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("split", "told"), [("dev", r"no split 'dev'.*\['train'\]"), ("trian", "did you mean 'train'")], ids=str
)
def test_a_split_that_is_not_there_is_named_with_those_that_are(reader, split, told, tiny_codec, tmp_path):
    parquet_with_ids(tmp_path / "set")
    with pytest.raises(DataError, match=told):
        reader(f"{tmp_path / 'set'}:{split}", tmp_path, tiny_codec)


def test_a_clip_that_cannot_be_read_costs_only_itself(tiny_codec, tmp_path):
    """By every reader, with one reason for each."""
    place = tmp_path / "set"
    written(place)
    (place / "0.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(2_000))
    (place / "1-2-b.wav").write_bytes(b"no sound")
    reasons = {"0": "m4a.*ffmpeg", "1-2-b": "Format not recognised"}
    good = ["1-2-a", "1-2-c"]
    corpus = open_corpus([str(place)], RATE, tmp_path / "cache")
    assert list(corpus.ids) == good
    done = tokenize(tiny_codec, TokenizingPlan(str(place), "some"), tmp_path / "tokens")
    assert (done.clips, done.failed) == (2, 2)
    listed = (tmp_path / "tokens" / "failed" / "some-00000-of-00001.jsonl").read_text()
    clips = {clip.clip_id: clip for clip in corpora.load(str(place)).clips("all")}
    suite = material_reading.speech(str(place))
    assert [name for name, clip in clips.items() if clip.problem is None] == good
    assert [item.name for item in suite.items] == good
    for name, reason in reasons.items():
        for told in (clips[name].problem, suite.unreadable[name], *(bad for bad in corpus.bad if bad.startswith(name))):
            assert_matches(reason, told)
        assert_matches(f'"{name}".*{reason}', listed)
    assert len(corpus.bad) == 2


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


def test_a_saved_split_of_no_rows_is_told_apart_from_a_damaged_one(tmp_path):
    datasets = pytest.importorskip("datasets")
    saved(tmp_path / "set", {"audio": both(), "id": list(NAMES)})
    some = datasets.load_from_disk(str(tmp_path / "set"))["dev"]
    datasets.DatasetDict({"dev": some, "none": some.select([])}).save_to_disk(str(tmp_path / "two"))
    loaded = corpora.load(str(tmp_path / "two"))
    assert {name: split.size for name, split in loaded.splits.items()} == {"dev": 3, "none": 0}
    with pytest.raises(DataError, match="none has no rows"):
        loaded.check(loaded.chosen(None))
    with pytest.raises(DataError, match="has no rows"):
        open_dataset(f"{tmp_path / 'two'}:none")
    next((tmp_path / "two" / "dev").glob("*.arrow")).write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot read"):
        list(open_dataset(str(tmp_path / "two")).rows())


def test_several_splits_read_as_one_are_told_apart_by_their_names(tmp_path):
    put(tmp_path / "train.parquet", table(both()))
    put(tmp_path / "test.parquet", table(both()))
    names = [row.clip_id for row in open_dataset(str(tmp_path)).rows()]
    assert names == [f"{split}/{name}" for split in ("test", "train") for name in NAMES]


def test_a_path_to_nothing_and_a_column_of_no_audio_say_so(tmp_path):
    put(tmp_path / "a" / "train.parquet", table(["gone.wav"] * 3))
    (clip, *_) = corpora.load(str(tmp_path / "a")).clips("train")
    assert clip.problem is not None
    assert_matches(r"no file 'gone\.wav'", clip.problem)
    put(tmp_path / "b" / "train.parquet", table([1.5] * 3))
    with pytest.raises(DataError, match="'audio' is of type double"):
        list(open_dataset(str(tmp_path / "b")).rows())


def test_a_splits_name_in_a_token_corpus_is_one_that_datasets_takes():
    assert [split_name(name) for name in ("dev-clean", "train.100", "clean/train", "...")] == [
        "dev_clean",
        "train.100",
        "clean_train",
        "train",
    ]
    with pytest.raises(ValueError, match="--split dev_clean"):
        TokenizingPlan("x", "dev-clean")


def test_rows_say_where_they_are_from_in_the_words_that_runs_remember(tmp_path):
    """A run's data are told by these: other words would end every run that was begun before."""
    put(
        tmp_path / "a" / "data" / "train-00000-of-00001.parquet",
        table(both(), id=["x", None, ""], source=["s", "t", ""]),
    )
    (opened,) = [open_dataset(str(tmp_path / "a"))]
    assert [row.origin for row in opened.rows()] == [f"train-00000-of-00001/{name}" for name in ("x", "t", "2")]
    assert [row.clip_id for row in opened.rows()] == ["x", "1-2-b", "1-2-c"]
    written(tmp_path / "b" / "dev" / "1")
    (first, *_) = open_dataset(f"{tmp_path / 'b'}:dev").rows()
    assert (first.origin, first.clip_id) == ("dev/1/1-2-a.wav", "1/1-2-a")
