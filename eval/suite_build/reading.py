"""Reads speech and sounds out of data sets: parquet files, saved data sets, folders of sound files, hub ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.corpora import CorpusError
from eval.corpora.audio_folder import sound_files
from eval.corpora.base import require_audio
from eval.corpora.stored import parquet_files
from eval.suite_build.material import Sound, Utterance
from eval.suite_build.pairs import RATE
from soundcodec_llmcodec import audio
from soundcodec_llmcodec.audio import AudioError
from soundcodec_llmcodec.sources import Source

# What columns are called in the data sets people have; the first that is there and filled counts.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "source", "file"),
    "source": ("corpus",),
    "text": ("text", "transcript", "transcription", "sentence"),
    "speaker": ("speaker_id", "speaker", "voice"),
    "gender": ("gender", "sex"),
    "emotion": ("emotion", "style"),
    "lang": ("lang", "language"),
    "license": ("license", "licence"),
    "kind": ("kind", "class", "category"),
    "recording": ("recording",),
    "words": ("words",),
}
_WANTED = ("audio", *dict.fromkeys(name for names in COLUMNS.values() for name in names))


@dataclass(frozen=True)
class Read:
    """What a data set gave: its title, the items, and why others could not be read, by id."""

    title: str
    items: tuple[Any, ...]
    unreadable: Mapping[str, str]


def speech(place: str, limit: int | None = None) -> Read:
    """The utterances of a data set, "PLACE" or "PLACE:SPLIT", at most the first `limit`."""
    return _read(place, limit, _utterance)


def sounds(place: str, limit: int | None = None) -> Read:
    """The sounds of a data set. `recording` is its column, else the id without a number at its end ("waves-2")."""
    return _read(place, limit, _sound)


def title_of(place: str) -> str:
    """What a data set is called in metadata: a hub id as it is, a folder by its name, not by where it lies."""
    source = Source.parse(place)
    path = Path(source.place).expanduser()
    name = path.resolve().name if path.exists() else source.place
    return f"{name}:{source.split}" if source.split else name


def _read(place: str, limit: int | None, make: Any) -> Read:
    title = title_of(place)
    items: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    for index, row in enumerate(_rows(place)):
        if limit is not None and index >= limit:
            break
        name = _told(row, "id") or _stem(row) or f"{index:06d}"
        if name in items or name in unreadable:
            name = f"{name}#{index}"
        try:
            items[name] = make(row, name, title, _samples(row))
        except (AudioError, OSError) as error:
            unreadable[name] = " ".join(str(error).split())
    if not items:
        raise CorpusError(f"{place} holds no readable clip ({len(unreadable)} unreadable ones)")
    return Read(title, tuple(items.values()), unreadable)


def _utterance(row: Mapping[str, Any], name: str, title: str, samples: np.ndarray) -> Utterance:
    told = {key: _told(row, key) for key in ("text", "speaker", "gender", "emotion", "lang", "license")}
    return Utterance(name, _told(row, "source") or title, samples, words=_words(row.get("words"), name), **told)


def _sound(row: Mapping[str, Any], name: str, title: str, samples: np.ndarray) -> Sound:
    recording = _told(row, "recording") or re.sub(r"[-_#]\d+$", "", name)
    kind = _told(row, "kind") or "sound"
    return Sound(name, _told(row, "source") or title, samples, kind, recording, _told(row, "license"))


def _samples(row: Mapping[str, Any]) -> np.ndarray:
    stored = row["audio"]
    if isinstance(stored, Mapping) and stored.get("bytes") is None and not stored.get("path"):
        raise AudioError("the row holds no audio")
    clip = audio.as_clip(stored)
    samples = audio.resample(audio.mono(clip), clip.sampling_rate, RATE)
    if not np.any(samples):
        raise AudioError("the clip is silent")
    return samples


def _told(row: Mapping[str, Any], key: str) -> str | None:
    values = (row.get(name) for name in COLUMNS[key])
    return next((str(value).strip() for value in values if value is not None and str(value).strip()), None)


def _stem(row: Mapping[str, Any]) -> str | None:
    path = row["audio"].get("path") if isinstance(row["audio"], Mapping) else None
    return Path(path).stem if path else None


def _words(given: Any, name: str) -> tuple[tuple[float, float, str], ...] | None:
    """The `words` column: a list of {start, end, word} in s. Raises CorpusError for another form."""
    if given is None:
        return None
    try:
        return tuple((float(word["start"]), float(word["end"]), str(word["word"])) for word in given)
    except (TypeError, KeyError, ValueError) as error:
        raise CorpusError(
            f"the words of {name!r} are not a list of {{start, end, word}} with seconds: {given!r}"
        ) from error


def _rows(place: str) -> Iterable[Mapping[str, Any]]:
    source = Source.parse(place)
    path = Path(source.place).expanduser()
    if path.suffix == ".parquet" and path.is_file():
        return _parquet_rows([path])
    if not path.is_dir():
        if path.exists() or "/" not in source.place or source.place.startswith(("/", ".", "~")):
            raise CorpusError(
                f"no data set {place!r}: expected a folder, a parquet file, or a hub id 'owner/name:split'"
            )
        return _datasets_rows(source, None)
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _datasets_rows(source, path)
    files = parquet_files(path)
    if files:
        return _parquet_rows(_of_split(files, source))
    folder = path / source.split if source.split else path
    found = sound_files(folder) if folder.is_dir() else []
    if not found:
        raise CorpusError(f"{folder} holds no parquet files and no sound files")
    return (
        {
            "id": file.relative_to(folder).with_suffix("").as_posix(),
            "audio": {"path": str(file)},
            "kind": file.parent.name,
        }
        for file in found
    )


def _of_split(files: list[Path], source: Source) -> list[Path]:
    if source.split is None:
        return files
    chosen = [file for file in files if file.stem.split("-")[0] == source.split or file.stem == source.split]
    if not chosen:
        splits = sorted({file.stem.split("-")[0] for file in files})
        raise CorpusError(f"{source.place} has no split {source.split!r}; it has {splits}")
    return chosen


def _parquet_rows(files: list[Path]) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                names = opened.schema_arrow.names
                require_audio(names, str(file))
                for batch in opened.iter_batches(32, columns=[name for name in _WANTED if name in names]):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise CorpusError(f"cannot read {file} as parquet: {error}") from error


def _datasets_rows(source: Source, folder: Path | None) -> Iterable[Mapping[str, Any]]:
    import datasets

    owner, _, rest = source.place.partition("/")
    title, *configuration = rest.split("/")
    try:
        loaded = (
            datasets.load_from_disk(str(folder))
            if folder is not None
            else datasets.load_dataset(f"{owner}/{title}", *configuration)
        )
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot load the data set {source.place!r}: {error}") from error
    if isinstance(loaded, datasets.DatasetDict):
        if source.split not in loaded:
            raise CorpusError(f"name a split of {source.place!r}, '{source.place}:SPLIT'; it has {list(loaded)}")
        loaded = loaded[source.split]
    require_audio(loaded.column_names, source.place)
    return loaded.cast_column("audio", datasets.Audio(decode=False))
