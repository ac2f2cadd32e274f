"""A few pairs of each part, to be listened to: the coherent recording and the other, as the suite has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from eval.harness import manifest
from eval.salmon.suite import Pair, PairedRecording

FOLDER = "samples"
# Longer than a pair of SALMon: what differs comes in the second half.
LONGEST_S = 16.0


class PairSamples:
    """Keeps the first `pairs_per_part` pairs of every part as 16-bit FLAC below a run's folder, each with a JSON file
    that says which pair it is."""

    def __init__(self, folder: Path, pairs_per_part: int) -> None:
        self._folder = folder
        self._pairs_per_part = pairs_per_part

    def wants(self, index: int) -> bool:
        """Whether the pair at this place of its part is one of them."""
        return index < self._pairs_per_part

    def keep(self, part: str, index: int, pair: Pair) -> None:
        """Write the pair's recordings, and last what tells of them. A recording that has a problem is left out."""
        name = _name(part, index)
        recordings = {"positive": pair.positive, "negative": pair.negative}
        told: dict[str, Any] = {"part": part, "index": index, "pair_id": pair.pair_id, "about": dict(pair.about)}
        for kind, recording in recordings.items():
            file = f"{FOLDER}/{name}-{kind}.flac"
            if recording.problem is None:
                self._write(file, recording)
            told[kind] = {
                "file": None if recording.problem else file,
                "problem": recording.problem,
                "seconds": recording.seconds,
                "rate": recording.rate,
                "digest": recording.digest,
            }
        with manifest.written(self._folder, f"{FOLDER}/{name}.json") as path:
            path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def names(self, parts: Sequence[str]) -> Iterator[str]:
        """The files that it may write, relative to the run's folder."""
        for part in parts:
            for index in range(self._pairs_per_part):
                name = f"{FOLDER}/{_name(part, index)}"
                yield from (f"{name}-positive.flac", f"{name}-negative.flac", f"{name}.json")

    def found(self, part: str) -> list[dict[str, Any]]:
        """The kept pairs of a part in order: part, index, pair_id, about, and for positive and negative the file below
        the run's folder (or the problem), seconds, rate and digest."""
        names = (f"{_name(part, index)}.json" for index in range(self._pairs_per_part))
        files = (self._folder / FOLDER / name for name in names)
        return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]

    def _write(self, file: str, recording: PairedRecording) -> None:
        excerpt = recording.samples[: round(LONGEST_S * recording.rate)]
        with manifest.written(self._folder, file) as unfinished:
            soundfile.write(unfinished, np.clip(excerpt, -1, 1), recording.rate, format="FLAC", subtype="PCM_16")


def _name(part: str, index: int) -> str:
    # Parts are names of folders already, so nothing but letters, digits, "_", "-" and "." has to be expected.
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', part)}-{index:04d}"
