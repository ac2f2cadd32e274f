"""What a data set is to the harness: splits of clips, streamed, so that a data set need not fit into memory."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from soundcodec_llmcodec.audio import mono
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.data import DataError, DataRow, Split, identified
from soundcodec_llmcodec.data.datasets import matching
from soundcodec_llmcodec.data.rows import row_of


@dataclass(frozen=True)
class CorpusClip:
    """One clip: samples float32 (S,) at `rate` Hz (channels averaged), or the `problem` that made it unreadable.

    `digest` is the SHA-256 (hex) of the stored audio, `source` the corpus that the clip is from; `text` is what is said
    in it, `lang` the language and `speaker` who speaks, where the data set tells.
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
    speaker: str | None = None

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return len(self.samples) / self.rate

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 (hex) of all that a score of this clip may depend on: audio, rate, names, text and language."""
        parts = [self.digest, self.rate, self.clip_id, self.split, self.source, self.text, self.lang]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class ClipCorpus:
    """A data set: what it is called, and its splits."""

    name: str
    label: str
    synthetic: bool
    splits: Mapping[str, Split]
    revision: str | None = None

    def chosen(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The splits of these names, compared without case; all for None. Raises DataError for an unknown one."""
        if names is None:
            return tuple(self.splits)
        return tuple(dict.fromkeys(matching(self.splits, name, self.label) for name in names))

    def check(self, splits: Sequence[str]) -> None:
        """Raise DataError for a split without rows, of which every mean would be of nothing."""
        for split in splits:
            if not self.splits[split].size:
                raise DataError(f"{self.label} {split} has no rows: there is nothing to measure")

    def clips(self, split: str, limit: int | None = None) -> Iterator[CorpusClip]:
        """The split's clips in order, at most `limit`, with the ids that `data.identified` gives. Raises DataError."""
        for row in islice(identified(self.splits[split].rows(), split), limit):
            yield read_row(row)


def fingerprint(clips: Iterable[tuple[str, str, str]]) -> str:
    """SHA-256 (hex) over (split, id, digest of the stored audio) of the clips in any order."""
    lines = sorted("\t".join(clip) for clip in clips)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def clip_of(row: Mapping[str, Any], split: str, index: int) -> CorpusClip:
    """The clip of a row of plain columns, the `index`-th of its split; unreadable audio is a `problem`, no error."""
    return read_row(row_of(row, split, index))


def read_row(row: DataRow) -> CorpusClip:
    """The clip of a data set's row, decoded; unreadable audio is a `problem`, no error."""
    clip_id, split, source = row.clip_id, row.split, row.field("source") or row.split
    empty = np.zeros(0, np.float32)
    digest = ""
    try:
        stored = row.audio.read_bytes() if isinstance(row.audio, Path) and row.audio.is_file() else row.audio
        digest = _digest(stored)
        clip = replace(row, audio=stored).clip()
    except (AudioError, OSError) as error:
        reason = " ".join(str(error).split()).removeprefix("cannot read the sound file as audio: ")
        problem = reason if "holds no audio" in reason else f"unreadable audio: {reason}"
        return CorpusClip(clip_id, split, source, empty, 1, digest, problem=problem)
    samples = mono(clip)
    samples.setflags(write=False)  # it is the reference of every codec, whatever one of them does to its input
    return CorpusClip(
        clip_id,
        split,
        source,
        samples,
        clip.sampling_rate,
        digest,
        text=row.text,
        lang=row.field("lang"),
        speaker=row.speaker,
    )


def _digest(stored: Any) -> str:
    """SHA-256 (hex) of audio as it is stored: of its bytes, or of its numbers and their rate; "" of none."""
    if isinstance(stored, bytes):
        return hashlib.sha256(stored).hexdigest()
    if isinstance(stored, Mapping):
        array = np.asarray(stored["array"])
        described = f"{array.dtype} {array.shape} {stored.get('sampling_rate')}".encode()
        return hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()
    return ""
