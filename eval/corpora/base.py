"""What a data set is to the harness: splits of clips, streamed, so that a data set need not fit into memory.

Audio is read as bytes and decoded by soundfile.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import io
import json
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

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 (hex) of all that a score of this clip may depend on: audio, rate, names, text and language."""
        told = [self.digest, self.rate, self.clip_id, self.split, self.source, self.text, self.lang]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True)
class Split:
    """The number of rows, a function that starts over them, and one over their own ids where these are quick to
    read."""

    size: int
    rows: Callable[[], Iterable[Mapping[str, Any]]]
    ids: Callable[[], Iterable[str]] | None = None


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
            near = difflib.get_close_matches(unknown[0], self.splits, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise CorpusError(f"{self.label} has no split {unknown}{hint} It has {list(self.splits)}")
        return tuple(dict.fromkeys(by_name[name.lower()] for name in names))

    def check(self, splits: Sequence[str]) -> None:
        """Raise CorpusError for two rows of a split with one `id`, before any work is done."""
        for split in splits:
            ids = self.splits[split].ids
            seen: set[str] = set()
            for clip_id in ids() if ids is not None else ():
                if clip_id in seen:
                    raise CorpusError(f"two clips of {self.label} {split} have the id {clip_id!r}; ids pair the clips")
                seen.add(clip_id)

    def clips(self, split: str, limit: int | None = None) -> Iterator[Clip]:
        """The split's clips in order, at most `limit`. Raises CorpusError for two rows with one `id`.

        Where rows have no ids, a clip is called by its file's name, with `#` and its place where that came before.
        """
        seen: set[str] = set()
        for index, row in enumerate(self.splits[split].rows()):
            if limit is not None and index >= limit:
                return
            clip = clip_of(row, split, index)
            if clip.clip_id in seen and declared_id(row) is None:
                clip = replace(clip, clip_id=f"{clip.clip_id}#{index}")
            if clip.clip_id in seen:
                raise CorpusError(f"two clips of {self.label} {split} have the id {clip.clip_id!r}; ids pair the clips")
            require_text(clip.clip_id, f"an id of {self.label} {split}")
            seen.add(clip.clip_id)
            yield clip


def require_audio(columns: Sequence[str], where: str) -> None:
    """Raise CorpusError where there is no column of audio."""
    if "audio" not in columns:
        raise CorpusError(f"{where} has no column 'audio'; it has {list(columns)}")


def declared_id(row: Mapping[str, Any]) -> str | None:
    """The row's own id as text; None where it has none."""
    given = row.get("id")
    return None if given is None or given == "" else str(given)


def require_text(name: str, what: str) -> None:
    """Raise CorpusError for a name that is not text, such as a file's name in another encoding."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"{what} is no valid Unicode text, so it cannot be written down: {name!r}; rename it"
        ) from error


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
    clip_id = declared_id(row) or stem or f"{index:05d}"
    source = next((str(row[key]) for key in ("source", "corpus") if row.get(key) not in (None, "")), split)
    text, lang = (str(row[key]) if row.get(key) else None for key in ("text", "lang"))
    empty = np.zeros(0, np.float32)
    if stored is None and path and Path(path).is_file():
        stored = Path(path).read_bytes()
    if not stored:
        return Clip(clip_id, split, source, empty, 1, "", problem="it holds no audio (0 bytes)")
    digest = hashlib.sha256(stored).hexdigest()
    try:
        samples, rate = soundfile.read(io.BytesIO(stored), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        return Clip(
            clip_id,
            split,
            source,
            empty,
            1,
            digest,
            problem=f"unreadable audio: {getattr(error, 'error_string', error)}",
        )
    mono = np.ascontiguousarray(samples.mean(axis=1))
    mono.setflags(write=False)  # it is the reference of every codec, whatever one of them does to its input
    return Clip(clip_id, split, source, mono, int(rate), digest, text=text, lang=lang)
