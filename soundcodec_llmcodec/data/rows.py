"""A row of a data set: its id, its audio as it is stored, and what else is known of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from soundcodec_llmcodec.audio import Clip, as_clip
from soundcodec_llmcodec.audio_files import AudioError

# What columns are called in the data sets that people have; the first that is there and filled counts.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "source": ("source", "corpus"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "speaker": ("speaker_id", "speaker", "voice"),
    "gender": ("gender", "sex"),
    "emotion": ("emotion", "style"),
    "lang": ("lang", "language"),
    "license": ("license", "licence"),
    "kind": ("kind", "class", "category"),
    "recording": ("recording",),
}
RATE_COLUMNS = ("sampling_rate", "sample_rate")
COLUMNS = ("id", "audio", "words", *RATE_COLUMNS, *(name for names in FIELDS.values() for name in names))


class DataError(ValueError):
    """A data set that cannot be read, with what was found and what was expected."""


@dataclass(frozen=True)
class DataRow:
    """A clip of a data set: `audio` is its stored bytes, its file, or {"array", "sampling_rate"}; None where there is
    none. `columns` are the row's other columns as they are, numbers and lists included. `origin` says where in the data
    set it is, a shard and a name or a file's path: training runs know their data by it.
    """

    clip_id: str
    split: str
    audio: bytes | Path | Mapping[str, Any] | None
    columns: Mapping[str, Any]
    origin: str = ""

    def field(self, name: str) -> str | None:
        """What is known under one of FIELDS, as text; None where nothing is."""
        return next((text for key in FIELDS[name] if (text := as_text(self.columns.get(key)))), None)

    @property
    def text(self) -> str | None:
        """What is said in it."""
        return self.field("text")

    @property
    def speaker(self) -> str | None:
        """Who speaks."""
        return self.field("speaker")

    def clip(self) -> Clip:
        """The decoded audio. Raises AudioError with the reason where it cannot be read, and OSError."""
        if self.audio is None:
            raise AudioError("it holds no audio (0 bytes)")
        if isinstance(self.audio, Path) and not self.audio.exists():
            raise AudioError(
                f"it holds no audio: no bytes, and there is no file {str(self.audio)!r}, neither here nor beside the "
                f"data set's own files"
            )
        return as_clip(self.audio)


def identified(rows: Iterable[Mapping[str, Any]], split: str) -> Iterator[DataRow]:
    """The rows of a split with their ids, which is the one rule for them.

    A row is called by its `id`; without one, by the name of its sound file without the ending; without that, by its
    place (00000). A name that came before in the split gets `#` and the row's place, so that no two rows share one.
    Raises DataError for an id that is no valid text.
    """
    ids: set[str] = set()
    for index, raw in enumerate(rows):
        row = row_of(raw, split, index)
        clip_id = row.clip_id
        while clip_id in ids:
            clip_id = f"{clip_id}#{index}"
        ids.add(clip_id)
        require_text(clip_id, f"an id of {split}")
        yield row if clip_id == row.clip_id else replace(row, clip_id=clip_id)


def row_of(raw: Mapping[str, Any], split: str, index: int) -> DataRow:
    """A row of plain columns, the `index`-th of its split; its id may have come before."""
    audio = raw.get("audio")
    own_id = raw.get("id")
    declared = own_id if isinstance(own_id, str) else as_text(own_id)
    path = audio.get("path") if isinstance(audio, Mapping) else None
    stem = PurePosixPath(str(path).replace("\\", "/")).stem if path else None
    columns = {name: value for name, value in raw.items() if name not in ("id", "audio", "origin")}
    clip_id = declared or stem or f"{index:05d}"
    return DataRow(clip_id, split, _stored(audio, columns), columns, str(raw.get("origin", clip_id)))


def as_text(value: Any) -> str | None:
    """A value as text, None for nothing: numbers as they are written, lists by their parts with spaces between."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or isinstance(value, Mapping):
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return " ".join(text for part in value if (text := as_text(part))) or None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with gaps comes as floats
    return str(value).strip() or None


def require_text(name: str, what: str) -> None:
    """Raise DataError for a name that is not text, such as a file's name in another encoding."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} is no valid Unicode text, so it cannot be written down: {name!r}; rename it"
        ) from error


def require_audio(columns: Sequence[str], where: str) -> None:
    """Raise DataError where there is no column of audio."""
    if "audio" not in columns:
        raise DataError(f"{where} has no column 'audio'; it has {list(columns)}")


def _stored(audio: Any, columns: Mapping[str, Any]) -> bytes | Path | Mapping[str, Any] | None:
    if isinstance(audio, Mapping):
        if audio.get("bytes"):
            return bytes(audio["bytes"])
        if audio.get("array") is not None:
            rate = next((columns[name] for name in RATE_COLUMNS if columns.get(name) is not None), None)
            stored_rate = audio.get("sampling_rate")
            return {"array": audio["array"], "sampling_rate": rate if stored_rate is None else stored_rate}
        return Path(audio["path"]) if audio.get("path") else None
    return audio or None
