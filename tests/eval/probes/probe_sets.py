"""Toy features and data sets for the tests of probes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from eval.harness import corpora
from eval.harness.clips import ClipCorpus

RATE = 16_000
PITCHES = {"low": 200.0, "middle": 800.0, "high": 3000.0}


def classes(n: int, dimensions: int, n_classes: int, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 (N, D) around one centre a class, and the classes (N,), each as often as any other."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    centres = distance * np.linalg.qr(rng.standard_normal((dimensions, n_classes)))[0].T
    features = centres[labels] + rng.standard_normal((n, dimensions))
    return features.astype(np.float32), np.array([f"class {label}" for label in labels])


def tone(pitch: float, seed: int, seconds: float = 0.2) -> bytes:
    """A FLAC file of a tone in noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    samples = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    stored = io.BytesIO()
    soundfile.write(stored, samples, RATE, format="FLAC")
    return stored.getvalue()


def tones(n: int = 18) -> list[dict[str, Any]]:
    """Rows of tones, two after another from one singer of n / 6 for each pitch, with a column `pitch` that the harness
    itself does not know."""
    names = list(PITCHES)
    return [
        {
            "id": f"clip-{place:02d}",
            "audio": {"bytes": tone(PITCHES[names[place % 3]], place), "path": None},
            "pitch": names[place % 3],
            "speaker_id": f"singer-{place // 6}",
            "text": "la" if place % 2 else "do",
        }
        for place in range(n)
    ]


def stored(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "tones") -> str:
    """Rows as a parquet file; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / f"{name}.parquet")
    return str(folder / f"{name}.parquet")


def corpus(place: str) -> ClipCorpus:
    """A data set with all its columns."""
    return corpora.load(place, every_column=True)
