"""A representation's vectors pooled over a clip: computed once for all tasks, and kept in the run's folder.

    FOLDER/features/<hash of what decides them>.npz    arrays `identity` (text), `clips` (N,) and `pooled` (N, 2, D)

Letters: N clips, F frames, D features.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import eval.representations as room
from eval.harness import fingerprints, manifest
from eval.harness.clips import CorpusClip
from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from eval.representations.representation import SAMPLE_RATE, Representation
from soundcodec_llmcodec.audio import resample

FOLDER = "features"
POOLINGS = ("mean", "mean-std")


class PooledFeatures:
    """Means and standard deviations over frames, float32 (2, D) by the SHA-256 of a clip's stored audio.

    `failures` are reasons by the same key; `computed` and `seconds` are how many were computed here, and how long it
    took.
    """

    def __init__(self, representation: Representation, device: str, folder: Path | None = None) -> None:
        """Begin with what the folder holds of this representation, if it does."""
        self.representation = representation
        self.seconds = 0.0
        self.computed = 0
        self.failures: dict[str, str] = {}
        self.identity = _identity(representation, device)
        self._file = f"{FOLDER}/{hashlib.sha256(self.identity.encode()).hexdigest()[:16]}.npz"
        self._pooled = {} if folder is None else _read(folder / self._file, self.identity)
        self._kept = len(self._pooled)

    def add(self, clip: CorpusClip) -> None:
        """Compute a clip's, unless it is there."""
        if clip.digest in self._pooled or clip.digest in self.failures:
            return
        began = time.perf_counter()
        try:
            samples = clip.samples
            if clip.rate != SAMPLE_RATE:
                samples = resample(samples, clip.rate, SAMPLE_RATE)
            self._pooled[clip.digest] = pooled(self.representation.frames(samples), self.representation.dimensions)
        except FOREIGN_ERRORS as error:
            self.failures[clip.digest] = described(error)
        self.computed += 1
        self.seconds += time.perf_counter() - began

    def of(self, digest: str, pooling: str) -> np.ndarray | None:
        """A clip's features float32, (D,) for the pooling "mean" and (2D,) for "mean-std"; None where it failed."""
        both = self._pooled.get(digest)
        if both is None:
            return None
        return both[0] if pooling == "mean" else both.reshape(-1)

    def write(self, folder: Path) -> None:
        """Keep them in the folder, if there are new ones."""
        if len(self._pooled) == self._kept:
            return
        with manifest.written(folder, self._file) as path, path.open("wb") as file:
            clips, both = np.array(list(self._pooled)), np.stack(list(self._pooled.values()))
            np.savez(file, identity=np.array(self.identity), clips=clips, pooled=both)
        self._kept = len(self._pooled)


def pooled(frames: np.ndarray, dimensions: int) -> np.ndarray:
    """Vectors (F, D) to their mean and standard deviation over frames, float32 (2, D). Raises ValueError for another
    shape, no frame, or numbers that are not finite."""
    if frames.ndim != 2 or frames.shape[1] != dimensions or not len(frames):
        raise ValueError(f"expected vectors (F, {dimensions}) with F of at least 1, got shape {frames.shape}")
    # In float64, so that a clip's length leaves no trace by rounding.
    both = np.stack([frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)])
    if not np.isfinite(both).all():
        raise ValueError(f"{int((~np.isfinite(frames)).sum())} of {frames.size} numbers are NaN or infinite")
    return both.astype(np.float32)


def _identity(representation: Representation, device: str) -> str:
    """All that may change a vector, as text."""
    sources = Path(next(iter(room.__path__)))
    decides: Mapping[str, Any] = {
        "facts": representation.facts(),
        "dimensions": representation.dimensions,
        "device": device,
        "package": fingerprints.of_package(),
        "representations": fingerprints.of_files(sources, (path.name for path in sources.glob("*.py")))[:16],
    }
    return json.dumps(decides, sort_keys=True)


def _read(file: Path, identity: str) -> dict[str, np.ndarray]:
    """What the file holds; nothing where there is no such file, or it was made of something else."""
    if not file.is_file():
        return {}
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if str(arrays["identity"]) != identity:
                return {}
            return dict(zip(arrays["clips"].tolist(), arrays["pooled"], strict=True))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} cannot be read ({error}); --overwrite begins anew") from error
