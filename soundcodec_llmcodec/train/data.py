"""Training audio as one memory-mapped array of 16-bit samples, and the batches cut from it.

A batch follows from (seed, step) alone, so that a resumed run sees what it would have seen.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from soundcodec_llmcodec.audio import AudioError, as_clip, mono, resample
from soundcodec_llmcodec.train.sources import DataError, Source

FULL_SCALE = 32_767.0
DECODE_BLOCK = 512


@dataclass(frozen=True)
class Corpus:
    """Clips end to end in one int16 array; clip i is samples[offsets[i]:offsets[i + 1]], mono at `sample_rate`."""

    samples: np.ndarray
    offsets: np.ndarray
    ids: tuple[str, ...]
    bad: tuple[str, ...]
    sample_rate: int

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return len(self.samples) / self.sample_rate / 3600

    def clip(self, index: int) -> Tensor:
        """Clip `index` as float32 (S,) in [-1, 1]."""
        part = self.samples[self.offsets[index] : self.offsets[index + 1]]
        return torch.from_numpy(np.asarray(part).astype(np.float32) / FULL_SCALE)


def open_corpus(sources: Sequence[str], sample_rate: int, cache: Path, progress: bool = False) -> Corpus:
    """Decode the sources once into `cache` (read back the next time), skipping and listing clips that cannot be read.

    Raises DataError when nothing can be read.
    """
    key = hashlib.sha256(json.dumps([_fingerprint(text) for text in sources] + [sample_rate]).encode()).hexdigest()[:16]
    data_file, index_file = cache / f"{key}.int16", cache / f"{key}.json"
    if not index_file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        index = _decode(sources, sample_rate, data_file, progress)
        partial = index_file.with_suffix(f".{os.getpid()}.part")
        partial.write_text(json.dumps(index), encoding="utf-8")
        os.replace(partial, index_file)
    index = json.loads(index_file.read_text(encoding="utf-8"))
    return Corpus(
        np.memmap(data_file, dtype=np.int16, mode="r"),
        np.asarray(index["offsets"], dtype=np.int64),
        tuple(index["ids"]),
        tuple(index["bad"]),
        sample_rate,
    )


def crops(
    corpus: Corpus, seed: int, step: int, batch_size: int, length: int, gain_db: Sequence[float]
) -> tuple[Tensor, list[str]]:
    """A batch (B, length) float32 for a step, and the ids of its clips.

    Clips are drawn in proportion to their length, the crop's place and gain (dB, and polarity) at random; a clip that
    is shorter than the crop is followed by silence. Gains never push a peak beyond 1.
    """
    draw = np.random.default_rng([seed, step])
    positions = draw.integers(0, len(corpus.samples), batch_size)
    clips = np.searchsorted(corpus.offsets, positions, side="right") - 1
    batch = np.zeros((batch_size, length), dtype=np.float32)
    for row, index in enumerate(clips):
        start, stop = corpus.offsets[index], corpus.offsets[index + 1]
        first = start + draw.integers(0, max(1, stop - start - length + 1))
        part = corpus.samples[first : min(first + length, stop)]
        batch[row, : len(part)] = part.astype(np.float32) / FULL_SCALE
    gains = 10.0 ** (draw.uniform(gain_db[0], gain_db[1], batch_size) / 20)
    peaks = np.abs(batch).max(axis=1)
    gains = np.minimum(gains, 1.0 / np.maximum(peaks, 1e-3)) * draw.choice((-1.0, 1.0), batch_size)
    batch *= gains[:, None].astype(np.float32)
    return torch.from_numpy(batch), [corpus.ids[index] for index in clips]


def speed_of(speeds: Sequence[float], seed: int, step: int) -> float:
    """The speed factor of a step's batch."""
    return float(np.random.default_rng([seed, step, 1]).choice(speeds))


def change_speed(waves: Tensor, length: int) -> Tensor:
    """Waves (B, S) to (B, length) over the same time, by cutting or filling the spectrum: pitch and tempo move."""
    if waves.shape[1] == length:
        return waves
    spectrum = torch.fft.rfft(waves)
    return torch.fft.irfft(spectrum, n=length) * (length / waves.shape[1])


def _decode(sources: Sequence[str], sample_rate: int, data_file: Path, progress: bool) -> dict[str, list]:
    ids: list[str] = []
    bad: list[str] = []
    offsets = [0]
    partial = data_file.with_suffix(f".{os.getpid()}.part")
    items = (item for text in sources for item in Source.parse(text).items())
    with partial.open("wb") as out, ThreadPool() as pool:
        bar = tqdm(desc="decode", unit="clip", mininterval=2, disable=not progress)
        # A block at a time: a pool's map takes in all it is given before the first result.
        while block := [(name, audio, sample_rate) for name, audio in islice(items, DECODE_BLOCK)]:
            for name, samples, error in pool.map(_decode_one, block, chunksize=8):
                bar.update()
                if samples is None:
                    bad.append(f"{name}: {error}")
                    continue
                out.write(samples.tobytes())
                ids.append(name)
                offsets.append(offsets[-1] + len(samples))
        bar.close()
    if not ids:
        partial.unlink()
        raise DataError(f"no clip of {list(sources)} could be read" + (f"; the first: {bad[0]}" if bad else ""))
    os.replace(partial, data_file)
    return {"ids": ids, "offsets": offsets, "bad": bad}


def _decode_one(item: tuple[str, Any, int]) -> tuple[str, np.ndarray | None, str]:
    """(id, int16 samples, "") or (id, None, why not)."""
    name, audio, sample_rate = item
    try:
        clip = as_clip(audio)
        samples = resample(mono(clip), clip.sampling_rate, sample_rate)
    except (AudioError, OSError) as error:
        return name, None, str(error)
    return name, np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16), ""


def _fingerprint(text: str) -> list:
    """The source's text, and for local data its files' names, sizes and times."""
    source = Source.parse(text)
    place = Path(source.place)
    files: Iterable[Path] = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    stats = [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files if p.exists()]
    return [text, stats]
