"""Reads speech and sounds out of data sets: parquet files, saved data sets, folders of sound files, hub ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from eval.salmon.build.built_pairs import RATE
from eval.salmon.build.material import Sound, Utterance
from soundcodec_llmcodec import audio
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.data import DataError, DataRow, Place, open_dataset


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
    return Place.parse(place).title


def _read(place: str, limit: int | None, make: Callable[[DataRow, str, np.ndarray], Any]) -> Read:
    title = title_of(place)
    items: list[Any] = []
    unreadable: dict[str, str] = {}
    for row in islice(open_dataset(place).rows(), limit):
        try:
            items.append(make(row, title, _samples(row)))
        except (AudioError, OSError) as error:
            unreadable[row.clip_id] = " ".join(str(error).split())
    if not items:
        raise DataError(f"{place} holds no readable clip ({len(unreadable)} unreadable ones)")
    return Read(title, tuple(items), unreadable)


def _utterance(row: DataRow, title: str, samples: np.ndarray) -> Utterance:
    columns = {key: row.field(key) for key in ("text", "speaker", "gender", "emotion", "lang", "license")}
    words = _words(row.columns.get("words"), row.clip_id)
    return Utterance(row.clip_id, row.field("source") or title, samples, words=words, **columns)


def _sound(row: DataRow, title: str, samples: np.ndarray) -> Sound:
    recording = row.field("recording") or re.sub(r"[-_#]\d+$", "", row.clip_id)
    kind = row.field("kind") or "sound"
    return Sound(row.clip_id, row.field("source") or title, samples, kind, recording, row.field("license"))


def _samples(row: DataRow) -> np.ndarray:
    clip = row.clip()
    samples = audio.resample(audio.mono(clip), clip.sampling_rate, RATE)
    if not np.any(samples):
        raise AudioError("the clip is silent")
    return samples


def _words(given: Any, name: str) -> tuple[tuple[float, float, str], ...] | None:
    """The `words` column: a list of {start, end, word} in s. Raises DataError for another form."""
    if given is None:
        return None
    try:
        return tuple((float(word["start"]), float(word["end"]), str(word["word"])) for word in given)
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(
            f"the words of {name!r} are not a list of {{start, end, word}} with seconds: {given!r}"
        ) from error
