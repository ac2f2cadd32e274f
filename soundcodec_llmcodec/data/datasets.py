"""Data sets by where they are, "PLACE" or "PLACE:SPLIT", as splits of rows that are streamed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.data.arrow_tables import parquet_rows, parquet_size, parquet_splits, visible_files
from soundcodec_llmcodec.data.hub import hub_splits, saved_splits
from soundcodec_llmcodec.data.rows import DataError, DataRow, identified
from soundcodec_llmcodec.data.sound_folders import SOUND_ENDINGS, folder_rows, sound_files
from soundcodec_llmcodec.nearest import did_you_mean

DOMAINS = ("Speech", "Music", "Audio")  # Codec-SUPERB's; other splits follow these
WHOLE = "all"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?:/[\w.-]+)?")


@dataclass(frozen=True)
class Place:
    """A data set and its split, as written "PLACE" or "PLACE:SPLIT"."""

    place: str
    split: str | None

    @classmethod
    def parse(cls, text: str) -> Place:
        """ "FOLDER", "FOLDER:validation", "FILE.parquet", "owner/name:train" or "owner/name/config:train.100"."""
        if Path(text).expanduser().exists():
            return cls(text, None)
        place, separator, split = text.rpartition(":")
        return cls(place, split) if separator and place and split else cls(text, None)

    @property
    def path(self) -> Path:
        """Where it is on this disk, if it is there."""
        return Path(self.place).expanduser()

    @property
    def title(self) -> str:
        """What the data set is called: a hub id as it is, a folder by its name, not by where it lies."""
        name = self.path.resolve().name if self.path.exists() else self.place
        return f"{name}:{self.split}" if self.split else name


@dataclass(frozen=True)
class Split:
    """The number of rows, and a function that starts over them: mappings of columns with `audio` among them."""

    size: int
    rows: Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class DataSet:
    """A data set: its splits by name, and the revision where it has one."""

    place: Place
    splits: Mapping[str, Split]
    revision: str | None = None

    @property
    def size(self) -> int:
        """Rows of all splits."""
        return sum(split.size for split in self.splits.values())

    def rows(self) -> Iterator[DataRow]:
        """All rows in a fixed order; where there are several splits, an id is SPLIT/ID. Raises DataError."""
        for name, split in self.splits.items():
            for row in identified(split.rows(), name):
                yield row if len(self.splits) == 1 else replace(row, clip_id=f"{name}/{row.clip_id}")


def open_dataset(text: str, *, all_splits: bool = False, every_column: bool = False) -> DataSet:
    """The data set of "PLACE" or "PLACE:SPLIT".

    PLACE is a parquet file, a folder (of parquet files, also FOLDER/CONFIGURATION, of sound files or from
    `save_to_disk`), or a hub id "owner/name" or "owner/name/configuration"; of the hub a split is to be named, unless
    `all_splits`. Rows have the columns of `rows.COLUMNS`, or every column that a table has.
    Raises DataError for what cannot be found or read, and where there are no rows.
    """
    place = Place.parse(text)
    revision = None
    if place.path.suffix == ".parquet" and place.path.is_file():
        splits = _parquet(place, place.path.parent, [place.path], every_column)
    elif place.path.is_dir():
        splits, revision = _folder(place, every_column)
    elif _HUB_ID.fullmatch(place.place) and not place.place.startswith("."):
        if place.split is None and not all_splits:
            raise DataError(
                f"{place.place!r} is no local folder; for a hub data set name the split, '{place.place}:train'"
            )
        loaded, revision = hub_splits(place.place, place.split, every_column=every_column)
        splits = {name: Split(*split) for name, split in loaded.items()}
    else:
        raise DataError(
            f"no data set {text!r}: expected a folder or parquet file that exists, or a hub id 'owner/name' or "
            f"'owner/name/configuration', each with or without ':SPLIT'"
        )
    opened = DataSet(place, {name: splits[name] for name in in_order(splits)}, revision)
    if not opened.size:
        raise DataError(f"{text} has no rows: there is nothing to read")
    return opened


def in_order(splits: Iterable[str]) -> list[str]:
    """The splits as tables show them: Codec-SUPERB's domains first, in its order."""
    names = set(splits)
    return [split for split in DOMAINS if split in names] + sorted(names - set(DOMAINS))


def matching(names: Iterable[str], text: str, where: str) -> str:
    """The split that is meant, compared without case. Raises DataError naming those that there are."""
    by_name = {name.lower(): name for name in names}
    if text.lower() in by_name:
        return by_name[text.lower()]
    hint = did_you_mean(text, by_name.values(), ";")
    raise DataError(f"{where} has no split {text!r}{hint} its splits are {in_order(by_name.values())}")


def _folder(place: Place, every_column: bool) -> tuple[dict[str, Split], str | None]:
    folder = place.path
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        loaded, revision = saved_splits(folder, every_column=every_column)
        chosen = list(loaded) if place.split is None else [matching(loaded, place.split, place.place)]
        return {name: Split(*loaded[name]) for name in chosen}, revision
    files = visible_files(folder, (".parquet",))
    return (_parquet(place, folder, files, every_column) if files else _sounds(place)), None


def _parquet(place: Place, root: Path, files: list[Path], every_column: bool) -> dict[str, Split]:
    shards = parquet_splits(root, files)
    chosen = list(shards) if place.split is None else [matching(shards, place.split, place.place)]
    return {
        name: Split(parquet_size(shards[name]), parquet_rows(shards[name], root, every_column=every_column))
        for name in chosen
    }


def _sounds(place: Place) -> dict[str, Split]:
    """A folder that is a split, those of Codec-SUPERB's domains, or all of it as one."""
    folder = place.path
    if place.split is not None and not (folder / place.split).is_dir():
        below = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        raise DataError(f"{place.place} has no split {place.split!r}, no folder of this name; its folders are {below}")
    base = folder if place.split is None else folder / place.split
    files = sound_files(base)
    if not files:
        raise DataError(
            f"{base} holds no parquet files, no sound files ({', '.join(SOUND_ENDINGS)}) and no saved data set"
        )
    bases = {place.split or WHOLE: base}
    tops = {path.relative_to(folder).parts[0] for path in files}
    if place.split is None and tops <= set(DOMAINS):
        bases = {top: folder / top for top in tops}
    inside = {name: [path for path in files if path.is_relative_to(root)] for name, root in bases.items()}
    return {name: Split(len(inside[name]), folder_rows(folder, root, inside[name])) for name, root in bases.items()}
