"""A few clips of each split, as they were and as each codec gives them back, to be listened to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from eval.harness import manifest
from eval.harness.corpora import CorpusClip

FOLDER = "samples"
LONGEST_S = 8.0


class ClipSamples:
    """Keeps the first `per_split` clips of every split as 16-bit FLAC of at most LONGEST_S below a run's folder."""

    def __init__(self, folder: Path, per_split: int) -> None:
        self._folder = folder
        self._per_split = per_split

    def wants(self, clip_index: int) -> bool:
        """Whether the clip at this place of its split is one of them."""
        return clip_index < self._per_split

    def keep(self, clip: CorpusClip, clip_index: int, made: Mapping[str, np.ndarray]) -> None:
        """Write the clip, and what each model made of it."""
        for name, samples in ((None, clip.samples), *made.items()):
            excerpt = samples[: round(LONGEST_S * clip.rate)]
            with manifest.written(self._folder, _path(clip.split, clip_index, name)) as unfinished:
                soundfile.write(unfinished, np.clip(excerpt, -1, 1), clip.rate, format="FLAC", subtype="PCM_16")

    def names(self, splits: Sequence[str], models: Sequence[str]) -> Iterator[str]:
        """The files that it may write, relative to the run's folder."""
        for split in splits:
            for index in range(self._per_split):
                yield from (_path(split, index, model) for model in (None, *models))

    def found(self, split: str, clip_index: int, models: list[str]) -> dict[str, Any] | None:
        """The files of a clip, relative to the run's folder; None where it was not kept."""
        original = _path(split, clip_index, None)
        if not (self._folder / original).is_file():
            return None
        paths = {name: _path(split, clip_index, name) for name in models}
        there = {name: path for name, path in paths.items() if (self._folder / path).is_file()}
        return {"original": original, "models": there}


def _path(split: str, clip_index: int, model: str | None) -> str:
    """Where a clip is kept, as a model made it, or as it was."""
    made = "" if model is None else f"-{_safe(model)}"
    return f"{FOLDER}/{_safe(split)}-{clip_index:04d}{made}.flac"


def _safe(text: str) -> str:
    safe = re.sub(r"[^\w.-]", "_", text)
    # Two names that only differ in what was replaced are still two files.
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
