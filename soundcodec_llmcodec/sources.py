"""Where clips to train on or to tokenize come from: folders of audio files, parquet data sets, hub data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.files import files_below

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
_COLUMNS = ("id", "source", "audio", "text", "speaker_id", "speaker")


class DataError(ValueError):
    """A data source that cannot be read, with what was found and what was expected."""


@dataclass(frozen=True)
class Item:
    """A clip to read: its id, a path or bytes that `audio.as_clip` reads, and what is said in it and by whom where that
    is known."""

    clip_id: str
    audio: Any
    text: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Source:
    """A data source and its split, as written "PLACE" or "PLACE:SPLIT"."""

    place: str
    split: str | None

    @classmethod
    def parse(cls, text: str) -> Source:
        """ "FOLDER", "FOLDER:validation", "owner/name:train" or "owner/name/config:train.100"."""
        if Path(text).exists():
            return cls(text, None)
        place, separator, split = text.rpartition(":")
        return cls(place, split) if separator and place else cls(text, None)

    def items(self) -> Iterator[Item]:
        """The clips in a fixed order."""
        files, kind = self._files()
        if kind == "parquet":
            yield from _rows_of(files)
        elif kind == "audio":
            for file in files:
                yield Item(str(file.relative_to(self.place)), file)
        else:
            rows = self._hub_rows()
            for index, row in enumerate(rows):
                yield _item(row, str(row.get("id", index)))

    def count(self) -> int:
        """The number of clips, without reading them."""
        files, kind = self._files()
        if kind == "parquet":
            import pyarrow.parquet

            return sum(pyarrow.parquet.ParquetFile(file).metadata.num_rows for file in files)
        return len(files) if kind == "audio" else len(self._hub_rows())

    def _files(self) -> tuple[list[Path], str]:
        """The files of this place and whether they are "parquet" or "audio"; ([], "hub") where it is no path."""
        folder = Path(self.place)
        if folder.suffix == ".parquet" and folder.is_file():
            return [folder], "parquet"
        if not folder.is_dir():
            return [], "hub"
        parquet = [file for file in files_below(folder) if file.name.endswith(".parquet")]
        return (self._chosen(parquet), "parquet") if parquet else (self._sounds(folder), "audio")

    def _chosen(self, files: list[Path]) -> list[Path]:
        if self.split is None:
            return files
        chosen = [file for file in files if file.name.startswith(f"{self.split}-") or file.stem == self.split]
        if not chosen:
            splits = sorted({file.stem.split("-")[0] for file in files})
            raise DataError(f"{self.place} has no split {self.split!r}; its splits are {splits}")
        return chosen

    def _sounds(self, folder: Path) -> list[Path]:
        base = folder / self.split if self.split else folder
        files = [file for file in files_below(base) if file.suffix.lower() in AUDIO_SUFFIXES]
        if not files:
            raise DataError(f"no parquet and no audio files ({', '.join(AUDIO_SUFFIXES)}) below {base}")
        return files

    def _hub_rows(self) -> Any:
        try:
            import datasets
        except ImportError as error:
            message = f"reading {self.place!r} from the hub needs the package datasets: pip install -e '.[train]'"
            raise ImportError(message) from error
        if self.split is None:
            raise DataError(
                f"{self.place!r} is no local folder; for a hub data set name the split, '{self.place}:train'"
            )
        # "owner/name/config": some data sets hold several.
        owner, name, *config = self.place.split("/", 2) if "/" in self.place else ("", self.place)
        place = f"{owner}/{name}" if owner else name
        try:
            rows = datasets.load_dataset(place, *config, split=self.split)
        except (ValueError, OSError) as error:
            raise DataError(f"could not load {self.place!r}, split {self.split!r}, from the hub: {error}") from error
        return rows.cast_column("audio", datasets.Audio(decode=False))


def _rows_of(files: list[Path]) -> Iterator[Item]:
    import pyarrow.parquet

    for file in files:
        table = pyarrow.parquet.ParquetFile(file)
        if "audio" not in table.schema_arrow.names:
            raise DataError(f"{file} has no column 'audio'; its columns are {table.schema_arrow.names}")
        names = [
            name
            for name in ("id", "source", "audio", "text", "speaker_id", "speaker")
            if name in table.schema_arrow.names
        ]
        index = 0
        for batch in table.iter_batches(batch_size=64, columns=names):
            for row in batch.to_pylist():
                name = row.get("id") or row.get("source") or index
                yield _item(row, f"{file.stem}/{name}")
                index += 1


def _item(row: Mapping[str, Any], clip_id: str) -> Item:
    told = row.get("speaker_id") if row.get("speaker_id") is not None else row.get("speaker")
    speaker = None if told is None or str(told).strip() == "" else str(told).strip()
    return Item(clip_id, _bytes_or_path(row["audio"]), (row.get("text") or "").strip() or None, speaker)


def _bytes_or_path(audio: dict[str, Any] | None) -> Any:
    if audio is None or (audio.get("bytes") is None and audio.get("path") is None):
        return b""  # read as an empty file, and listed as one
    return audio["bytes"] if audio.get("bytes") is not None else Path(audio["path"])
