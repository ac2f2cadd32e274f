"""Data sets of clips: the bundled mini set, folders of parquet files, saved data sets, the Hugging Face hub.

Audio is read as bytes and decoded by soundfile; rows are streamed, so a data set need not fit into memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

MINI = "mini"
MINI_LABEL = "mini (synthetic)"
MINI_FOLDER = Path(__file__).parent / "mini"
DOMAINS = ("Speech", "Music", "Audio")  # Codec-SUPERB's; other splits follow these
ROWS_AT_ONCE = 32

_SHARD = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class CorpusError(ValueError):
    """A data set that cannot be found, or is not of the expected shape."""


@dataclass(frozen=True)
class Clip:
    """One clip: samples float32 (S,) at `rate` Hz (channels averaged), or the `problem` that made it unreadable."""

    clip_id: str
    split: str
    source: str
    samples: np.ndarray
    rate: int
    digest: str
    problem: str | None = None

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Split:
    """The number of rows, and a function that starts over them."""

    size: int
    rows: Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Corpus:
    """A data set: what it is called, and its splits."""

    name: str
    label: str
    synthetic: bool
    splits: Mapping[str, Split]
    revision: str | None = None

    def chosen(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The splits of these names, compared without case; all for None. Raises CorpusError for an unknown one."""
        if names is None:
            return tuple(self.splits)
        by_name = {split.lower(): split for split in self.splits}
        unknown = [name for name in names if name.lower() not in by_name]
        if unknown:
            raise CorpusError(f"{self.label} has no split {unknown}; it has {list(self.splits)}")
        return tuple(dict.fromkeys(by_name[name.lower()] for name in names))

    def clips(self, split: str, limit: int | None = None) -> Iterator[Clip]:
        """The split's clips in order, at most `limit`. Raises CorpusError for two clips with one id."""
        seen: set[str] = set()
        for index, row in enumerate(self.splits[split].rows()):
            if limit is not None and index >= limit:
                return
            clip = _clip(row, split, index)
            if clip.clip_id in seen:
                raise CorpusError(f"two clips of {self.label} {split} have the id {clip.clip_id!r}; ids pair the clips")
            seen.add(clip.clip_id)
            yield clip


def fingerprint(clips: Iterable[tuple[str, str, str]]) -> str:
    """SHA-256 (hex) over (split, id, digest of the stored audio) of the clips in any order."""
    lines = sorted("\t".join(clip) for clip in clips)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def load(name: str) -> Corpus:
    """`mini`, a folder (of parquet files or from `save_to_disk`), or a hub id. Raises CorpusError."""
    if name == MINI:
        return _parquet(MINI_FOLDER, MINI, MINI_LABEL, synthetic=True)
    folder = Path(name).expanduser()
    if folder.is_dir():
        if folder.resolve() == MINI_FOLDER.resolve():
            return load(MINI)
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            return _saved(folder)
        return _parquet(folder, str(folder), folder.resolve().name, synthetic=False)
    if _HUB_ID.fullmatch(name):
        return _hub(name)
    raise CorpusError(f"no data set {name!r}: expected {MINI!r}, a folder that exists, or a hub id 'owner/name'")


def _parquet(folder: Path, name: str, label: str, *, synthetic: bool) -> Corpus:
    files = sorted((folder / "data").glob("*.parquet")) or sorted(folder.glob("*.parquet"))
    if not files:
        raise CorpusError(f"{folder} holds no parquet files, neither itself nor in data/, and no saved data set")
    shards: dict[str, list[Path]] = {}
    for file in files:
        match = _SHARD.fullmatch(file.stem)
        shards.setdefault(match["split"] if match else file.stem, []).append(file)
        with _naming(file):
            names = pq.read_schema(file).names
        _require_audio(names, str(file))
    ordered = [split for split in DOMAINS if split in shards] + sorted(set(shards) - set(DOMAINS))
    splits = {split: Split(sum(map(_rows, shards[split])), _parquet_rows(shards[split])) for split in ordered}
    return Corpus(name, label, synthetic, splits)


@contextlib.contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Raise what goes wrong in reading as a CorpusError with the file's name, which pyarrow leaves out."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"cannot read {file} as parquet: {error}") from error


def _rows(file: Path) -> int:
    with _naming(file):
        return int(pq.read_metadata(file).num_rows)


def _parquet_rows(files: Sequence[Path]) -> Callable[[], Iterator[dict[str, Any]]]:
    def rows() -> Iterator[dict[str, Any]]:
        for file in files:
            with _naming(file), pq.ParquetFile(file) as parquet:
                columns = [name for name in ("id", "source", "audio") if name in parquet.schema_arrow.names]
                for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=columns):
                    yield from batch.to_pylist()

    return rows


def _saved(folder: Path) -> Corpus:
    import datasets

    return _of_datasets(datasets.load_from_disk(str(folder)), str(folder), folder.resolve().name)


def _hub(name: str) -> Corpus:
    import datasets

    try:
        loaded = datasets.load_dataset(name)
    except (ConnectionError, FileNotFoundError) as error:
        raise CorpusError(
            f"the data set {name!r} is neither a folder here nor to be had from the hub: {error}"
        ) from error
    return _of_datasets(loaded, name, name)


def _of_datasets(loaded: Any, name: str, label: str) -> Corpus:
    import datasets

    by_split = loaded if isinstance(loaded, datasets.DatasetDict) else {"all": loaded}
    splits: dict[str, Split] = {}
    prints = []
    for split, rows in by_split.items():
        _require_audio(rows.column_names, f"{label} {split}")
        columns = [column for column in ("id", "source", "audio") if column in rows.column_names]
        undecoded = rows.select_columns(columns).cast_column("audio", datasets.Audio(decode=False))
        splits[str(split)] = Split(len(undecoded), undecoded.__iter__)
        prints.append(f"{split}={rows._fingerprint}")
    return Corpus(name, label, False, splits, revision=",".join(prints))


def _require_audio(columns: Sequence[str], where: str) -> None:
    if "audio" not in columns:
        raise CorpusError(f"{where} has no column 'audio'; it has {list(columns)}")


def _clip(row: Mapping[str, Any], split: str, index: int) -> Clip:
    audio = row["audio"]
    path = audio.get("path") if isinstance(audio, Mapping) else None
    stored = audio.get("bytes") if isinstance(audio, Mapping) else None
    # Codec-SUPERB-tiny has no ids; its paths name the clip, its `source` the corpus.
    stem = PurePosixPath(path).stem if path else None
    clip_id = str(row.get("id") or stem or f"{index:05d}")
    source = str(row.get("source") or split)
    empty = np.zeros(0, np.float32)
    if stored is None and path and Path(path).is_file():
        stored = Path(path).read_bytes()
    if not stored:
        return Clip(clip_id, split, source, empty, 1, "", problem="the row holds no audio bytes")
    digest = hashlib.sha256(stored).hexdigest()
    try:
        samples, rate = soundfile.read(io.BytesIO(stored), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        return Clip(clip_id, split, source, empty, 1, digest, problem=f"unreadable audio: {error}")
    return Clip(clip_id, split, source, np.ascontiguousarray(samples.mean(axis=1)), int(rate), digest)
