"""A few pairs of each part, to be listened to: the coherent recording and the other, as the suite has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval.harness import manifest
from eval.harness.sample_files import SampleFiles, sample_name
from eval.salmon.suite import Pair

# Longer than a pair of SALMon: what differs comes in the second half.
LONGEST_S = 16.0


class PairSamples(SampleFiles):
    """Keeps the first `pairs_per_part` pairs of every part, each with a JSON file that says which pair it is."""

    def __init__(self, folder: Path, pairs_per_part: int) -> None:
        super().__init__(folder, pairs_per_part, LONGEST_S)

    def keep(self, part: str, index: int, pair: Pair) -> None:
        """Write the pair's recordings, and last what tells of them. A recording that has a problem is left out."""
        recordings = {"positive": pair.positive, "negative": pair.negative}
        row: dict[str, Any] = {"part": part, "index": index, "pair_id": pair.pair_id, "about": dict(pair.about)}
        for kind, recording in recordings.items():
            file = sample_name(part, index, kind)
            if recording.problem is None:
                self.write(file, recording.samples, recording.rate)
            row[kind] = {
                "file": None if recording.problem else file,
                "problem": recording.problem,
                "seconds": recording.seconds,
                "rate": recording.rate,
                "digest": recording.digest,
            }
        with manifest.written(self.folder, sample_name(part, index, ending="json")) as path:
            path.write_text(json.dumps(row, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def names(self, parts: Sequence[str]) -> Iterator[str]:
        """The files that it may write, relative to the run's folder."""
        for part in parts:
            for index in range(self.per_part):
                yield from (sample_name(part, index, kind) for kind in ("positive", "negative"))
                yield sample_name(part, index, ending="json")

    def pairs_of(self, part: str) -> list[dict[str, Any]]:
        """The kept pairs of a part in order: part, index, pair_id, about, and for positive and negative the file below
        the run's folder (or the problem), seconds, rate and digest."""
        files = (self.folder / sample_name(part, index, ending="json") for index in range(self.per_part))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
