"""What a data set is to the harness: splits of clips, streamed, so that a data set need not fit into memory.

Audio is read as bytes and decoded by soundfile.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import soundfile

DOMAINS = ("Speech", "Music", "Audio")  # Codec-SUPERB's; other splits follow these
# What is read of a row. `corpus` stands in for `source` where there is none.
COLUMNS = ("id", "source", "corpus", "audio", "text", "lang")


class CorpusError(ValueError):
    """A data set that cannot be found, or is not of the expected shape."""


@dataclass(frozen=True)
class Clip:
    """One clip: samples float32 (S,) at `rate` Hz (channels averaged), or the `problem` that made it unreadable.

    `digest` is the SHA-256 (hex) of the stored audio, `source` the corpus that the clip is from; `text` is what is said
    in it and `lang` the language, where the data set tells.
    """

    clip_id: str
    split: str
    source: str
    samples: np.ndarray
    rate: int
    digest: str
    problem: str | None = None
    text: str | None = None
    lang: str | None = None

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
        """The split's clips in order, at most `limit`. Raises CorpusError for two rows with one `id`.

        Where rows have no ids, a clip is called by its file's name, with `#` and its place where that came before.
        """
        seen: set[str] = set()
        for index, row in enumerate(self.splits[split].rows()):
            if limit is not None and index >= limit:
                return
            clip = clip_of(row, split, index)
            if clip.clip_id in seen and not row.get("id"):
                clip = replace(clip, clip_id=f"{clip.clip_id}#{index}")
            if clip.clip_id in seen:
                raise CorpusError(f"two clips of {self.label} {split} have the id {clip.clip_id!r}; ids pair the clips")
            seen.add(clip.clip_id)
            yield clip


def require_audio(columns: Sequence[str], where: str) -> None:
    """Raise CorpusError where there is no column of audio."""
    if "audio" not in columns:
        raise CorpusError(f"{where} has no column 'audio'; it has {list(columns)}")


def in_order(splits: Iterable[str]) -> list[str]:
    """The splits as tables show them: Codec-SUPERB's domains first, in its order."""
    names = set(splits)
    return [split for split in DOMAINS if split in names] + sorted(names - set(DOMAINS))


def fingerprint(clips: Iterable[tuple[str, str, str]]) -> str:
    """SHA-256 (hex) over (split, id, digest of the stored audio) of the clips in any order."""
    lines = sorted("\t".join(clip) for clip in clips)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def clip_of(row: Mapping[str, Any], split: str, index: int) -> Clip:
    """The clip of a row of COLUMNS, the `index`-th of its split; unreadable audio is a `problem`, not an error."""
    audio = row["audio"]
    path = audio.get("path") if isinstance(audio, Mapping) else None
    stored = audio.get("bytes") if isinstance(audio, Mapping) else None
    # Codec-SUPERB-tiny has no ids; its paths name the clip, its `source` the corpus.
    stem = PurePosixPath(path).stem if path else None
    clip_id = str(row.get("id") or stem or f"{index:05d}")
    source = str(row.get("source") or row.get("corpus") or split)
    text, lang = (str(row[key]) if row.get(key) else None for key in ("text", "lang"))
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
    mono = np.ascontiguousarray(samples.mean(axis=1))
    return Clip(clip_id, split, source, mono, int(rate), digest, text=text, lang=lang)
