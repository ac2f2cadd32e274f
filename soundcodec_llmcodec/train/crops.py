"""Training audio as one memory-mapped array of 16-bit samples, and the batches cut from it.

A batch follows from (seed, step) alone, so that a resumed run sees what it would have seen.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from soundcodec_llmcodec.audio import mono, resample
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.data import DataError, DataRow, Place, open_dataset
from soundcodec_llmcodec.files import files_below

FULL_SCALE = 32_767.0
DECODE_BLOCK = 512
CACHE_VERSION = 3


@dataclass(frozen=True)
class DecodedCorpus:
    """Clips end to end in one int16 array; clip i is samples[offsets[i]:offsets[i + 1]], mono at `sample_rate`.

    `texts` are what is said in them, None where that is not known. `fingerprint` is of the rows' origins, texts,
    lengths and samples, and so the same wherever the data lie.
    """

    samples: np.ndarray
    offsets: np.ndarray
    ids: tuple[str, ...]
    texts: tuple[str | None, ...]
    bad: tuple[str, ...]
    sample_rate: int
    fingerprint: str

    def short_texts(self, length: int, coverage: float) -> np.ndarray:
        """Indices (N,) of the clips with a text of which a crop of `length` samples holds at least `coverage`."""
        lengths = np.diff(self.offsets)
        with_text = np.array([text is not None for text in self.texts], dtype=bool)
        return np.flatnonzero(with_text & (lengths * coverage <= length))

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return len(self.samples) / self.sample_rate / 3600

    def clip(self, index: int) -> Tensor:
        """Clip `index` as float32 (S,) in [-1, 1]."""
        part = self.samples[self.offsets[index] : self.offsets[index + 1]]
        return torch.from_numpy(np.asarray(part).astype(np.float32) / FULL_SCALE)


def open_corpus(sources: Sequence[str], sample_rate: int, cache: Path, progress: bool = False) -> DecodedCorpus:
    """Decode the sources once into `cache` (read back the next time), skipping and listing clips that cannot be read.

    Raises DataError when nothing can be read.
    """
    data_file, index_file = _cache_files(sources, sample_rate, cache)
    if not index_file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        index = _decode(sources, sample_rate, data_file, progress)
        partial = index_file.with_suffix(f".{os.getpid()}.part")
        partial.write_text(json.dumps(index), encoding="utf-8")
        os.replace(partial, index_file)
    index = json.loads(index_file.read_text(encoding="utf-8"))
    return DecodedCorpus(
        np.memmap(data_file, dtype=np.int16, mode="r"),
        np.asarray(index["offsets"], dtype=np.int64),
        tuple(index["ids"]),
        tuple(index["texts"]),
        tuple(index["bad"]),
        sample_rate,
        index["fingerprint"],
    )


def check_sources(groups: Sequence[Sequence[str]], sample_rate: int, cache: Path) -> None:
    """Look at the sources that are not in `cache` yet, without decoding a clip, so that a last one that is not there
    is known before the first is decoded. Raises DataError."""
    for sources in groups:
        if not _cache_files(sources, sample_rate, cache)[1].is_file():
            for text in sources:
                open_dataset(text)


def may_have_texts(sources: Sequence[str], sample_rate: int, cache: Path) -> bool:
    """Whether any row of the sources has a text, as far as that is known without decoding; True for sources in `cache`,
    whose texts `open_corpus` gives at once. Raises DataError."""
    if _cache_files(sources, sample_rate, cache)[1].is_file():
        return True
    # In turns, a row of each: mostly all rows of a source have texts or none has, so that the first round tells.
    in_turns = zip_longest(*(open_dataset(text).rows() for text in sources))
    return any(row is not None and row.text is not None for rows in in_turns for row in rows)


@dataclass(frozen=True)
class Crops:
    """Crops of clips: waves float32 (B, S), the clips' ids, and the texts of those crops that hold their clip's
    words."""

    waves: Tensor
    ids: tuple[str, ...]
    texts: tuple[str | None, ...]


@dataclass(frozen=True)
class Cropping:
    """How crops are made: their length (samples), gains (dB), the largest shift (samples), the least share of a
    clip that a crop has to hold for the clip's text to be its text; how clips are drawn, shorter ones filled up, and
    whether half of them are turned upside down (`TrainConfig` says what each may be)."""

    length: int
    gain_db: tuple[float, float] = (0.0, 0.0)
    jitter: int = 0
    text_coverage: float = 1.0
    text_share: float = 0.0
    draw: Literal["length", "clip"] = "length"
    padding: Literal["silence", "reflection"] = "silence"
    random_polarity: bool = True


def crops(corpus: DecodedCorpus, seed: int, step: int, batch_size: int, cropping: Cropping) -> Crops:
    """The batch of a step.

    Clips are drawn in proportion to their length, or evenly, the crop's place and gain (and polarity) at random; a clip
    that is shorter than the crop begins up to `jitter` samples late and is followed by silence, or lies up to `jitter`
    samples beside the middle of its own reflections, so that frames fall on it in all ways. Gains never push a peak
    beyond 1.
    """
    draw = np.random.default_rng([seed, step])
    positions = draw.integers(0, len(corpus.samples), batch_size)
    clips = np.searchsorted(corpus.offsets, positions, side="right") - 1
    if cropping.draw == "clip":
        clips = _even_draw(len(corpus.ids), seed, step, batch_size)
    if cropping.text_share > 0:
        short = corpus.short_texts(cropping.length, cropping.text_coverage)
        from_texts = draw.random(batch_size) < cropping.text_share
        clips = np.where(from_texts, draw.choice(short, batch_size), clips) if len(short) else clips
    batch = np.zeros((batch_size, cropping.length), dtype=np.float32)
    texts: list[str | None] = []
    for row, index in enumerate(clips):
        start, stop = corpus.offsets[index], corpus.offsets[index + 1]
        first = start + draw.integers(0, max(1, stop - start - cropping.length + 1))
        reflected = cropping.padding == "reflection"
        shift = int(draw.integers(-cropping.jitter if reflected else 0, cropping.jitter + 1))
        late = 0 if reflected else min(shift, max(0, cropping.length - int(stop - start)))
        part = corpus.samples[first : min(first + cropping.length - late, stop)]
        wave = part.astype(np.float32) / FULL_SCALE
        if reflected:
            batch[row] = _with_reflections(wave, cropping.length, shift)
        else:
            batch[row, late : late + len(part)] = wave
        texts.append(corpus.texts[index] if len(part) >= cropping.text_coverage * (stop - start) else None)
    gains = 10.0 ** (draw.uniform(cropping.gain_db[0], cropping.gain_db[1], batch_size) / 20)
    peaks = np.abs(batch).max(axis=1)
    gains = np.minimum(gains, 1.0 / np.maximum(peaks, 1e-3))
    if cropping.random_polarity:
        gains *= draw.choice((-1.0, 1.0), batch_size)
    batch *= gains[:, None].astype(np.float32)
    return Crops(torch.from_numpy(batch), tuple(corpus.ids[index] for index in clips), tuple(texts))


def speed_of(speeds: Sequence[float], seed: int, step: int) -> float:
    """The speed factor of a step's batch."""
    return float(np.random.default_rng([seed, step, 1]).choice(speeds))


def change_speed(waves: Tensor, length: int) -> Tensor:
    """Waves (B, S) to (B, length) over the same time, by cutting or filling the spectrum: pitch and tempo move."""
    if waves.shape[1] == length:
        return waves
    spectrum = torch.fft.rfft(waves)
    return torch.fft.irfft(spectrum, n=length) * (length / waves.shape[1])


def _even_draw(count: int, seed: int, step: int, batch_size: int) -> np.ndarray:
    """The clips (batch_size,) of a step, out of `count`: all of them once, in another order each time, and again."""
    rounds, places = np.divmod(step * batch_size + np.arange(batch_size), count)
    return np.array([_round_order(count, seed, int(turn))[place] for turn, place in zip(rounds, places, strict=True)])


@functools.lru_cache(maxsize=2)
def _round_order(count: int, seed: int, turn: int) -> np.ndarray:
    """The order (count,) of a round's clips."""
    return np.random.default_rng([seed, turn, 2]).permutation(count)


def _with_reflections(wave: np.ndarray, length: int, shift: int) -> np.ndarray:
    """A wave (S,) in the middle of (length,), or `shift` samples to the right, with its own reflections beside it.

    A wave shorter than what is to be filled is reflected as often as it takes.
    """
    rest = length - len(wave)
    left = min(max(rest // 2 + shift, 0), rest)
    return np.pad(wave, (left, rest - left), mode="reflect")


def _cache_files(sources: Sequence[str], sample_rate: int, cache: Path) -> tuple[Path, Path]:
    """The samples and the index of the sources in the cache."""
    facts = [CACHE_VERSION, sample_rate, *(_fingerprint(text) for text in sources)]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return cache / f"{key}.int16", cache / f"{key}.json"


def _decode(sources: Sequence[str], sample_rate: int, data_file: Path, progress: bool) -> dict[str, Any]:
    ids: list[str] = []
    texts: list[str | None] = []
    bad: list[str] = []
    offsets = [0]
    digest = hashlib.sha256()
    partial = data_file.with_suffix(f".{os.getpid()}.part")
    items = (row for opened in [open_dataset(text) for text in sources] for row in opened.rows())
    with partial.open("wb") as out, ThreadPool() as pool:
        bar = tqdm(desc="decode", unit="clip", mininterval=2, disable=not progress)
        # A block at a time: a pool's map takes in all it is given before the first result.
        while block := list(islice(items, DECODE_BLOCK)):
            decoded = pool.map(functools.partial(_decode_one, sample_rate=sample_rate), block, chunksize=8)
            for item, (samples, error) in zip(block, decoded, strict=True):
                bar.update()
                if samples is None:
                    bad.append(f"{item.clip_id}: {error}")
                    continue
                out.write(samples.tobytes())
                digest.update(f"{item.origin}\0{len(samples)}\0{item.text}\0".encode())
                digest.update(samples.tobytes())
                ids.append(item.clip_id)
                texts.append(item.text)
                offsets.append(offsets[-1] + len(samples))
        bar.close()
    if not ids:
        partial.unlink()
        raise DataError(f"no clip of {list(sources)} could be read" + (f"; the first: {bad[0]}" if bad else ""))
    os.replace(partial, data_file)
    return {"ids": ids, "texts": texts, "offsets": offsets, "bad": bad, "fingerprint": digest.hexdigest()}


def _decode_one(item: DataRow, sample_rate: int) -> tuple[np.ndarray | None, str]:
    """(int16 samples, "") or (None, why not)."""
    try:
        clip = item.clip()
        samples = resample(mono(clip), clip.sampling_rate, sample_rate)
    except (AudioError, OSError) as error:
        return None, str(error)
    return np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16), ""


def _fingerprint(text: str) -> list:
    """The source's text, and for local data its files' names, sizes and times."""
    place = Place.parse(text).path
    files = files_below(place) if place.is_dir() else [place]
    stats = [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files if p.exists()]
    return [text, stats]
