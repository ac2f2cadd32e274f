"""The samples that a run keeps to be listened to: the first of each split or part, as short FLAC files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import soundfile

from eval.harness import manifest

FOLDER = "samples"


class SampleFiles:
    """Keeps the first `per_part` items of every split or part below a run's folder, of each at most `longest_s`."""

    def __init__(self, folder: Path, per_part: int, longest_s: float) -> None:
        self.folder = folder
        self.per_part = per_part
        self._longest_s = longest_s

    def wants(self, index: int) -> bool:
        """Whether the item at this place of its split or part is one of them."""
        return index < self.per_part

    def write(self, name: str, samples: np.ndarray, rate: int) -> None:
        """Write the beginning of samples float32 (S,) at `rate` Hz as 16-bit FLAC, by a name of `sample_name`."""
        excerpt = samples[: round(self._longest_s * rate)]
        with manifest.written(self.folder, name) as unfinished:
            soundfile.write(unfinished, np.clip(excerpt, -1, 1), rate, format="FLAC", subtype="PCM_16")

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.folder / name).is_file()


def sample_name(part: str, index: int, *of: str, ending: str = "flac") -> str:
    """The path below a run's folder of an item's file: its split or part, its place, and what it is `of`."""
    return f"{FOLDER}/{'-'.join([safe(part), f'{index:04d}', *map(safe, of)])}.{ending}"


def safe(text: str) -> str:
    """The text as a part of a file's name."""
    replaced = re.sub(r"[^\w.-]", "_", text)
    # Two names that only differ in what was replaced are still two files.
    return replaced if replaced == text else f"{replaced}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
