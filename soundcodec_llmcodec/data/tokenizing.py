"""Corpora to tokens: shard by shard, so that a run that was stopped goes on where it was.

A shard is so many clips of the source in order; within it, clips are coded in batches of similar length. Each clip's
tokens are those it has alone. A finished shard is a file that is there; nothing else is remembered.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from soundcodec_llmcodec.audio import mono, resample
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.data import DataRow, DataSet, open_dataset
from soundcodec_llmcodec.data.token_corpus import (
    DATA_FOLDER,
    FAILED_FOLDER,
    TokenClip,
    TokenCorpusError,
    TokenSource,
    shard_name,
    write_shard,
    write_source,
)
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.llmcodec import LLMCodec

SHARD_CLIPS = 512
SOURCES_FOLDER = "sources"
ID_RULE = 2  # of data.identified; half a split with ids of one rule and half with those of another would join nothing
# Clips are read ahead of the codec until they are so many seconds: memory is bounded, batches are still full.
_READ_AHEAD_S = 1_200
_READ_AHEAD_CLIPS = 64
_BLOCKS_AHEAD = 2


@dataclass(frozen=True)
class TokenizingPlan:
    """What is tokenized: `dataset` as `data.open_dataset` reads it, under the name `split`.

    `shift` samples of silence (at the codec's rate) stand before each clip, so that frames fall on it in another way: a
    second view of the same audio to train on. `part` (i, n) takes every n-th shard from the i-th on, i < n, so that n
    processes or machines share the work.
    """

    dataset: str
    split: str
    shift: int = 0
    shard_clips: int = SHARD_CLIPS
    domain: str | None = None
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.]*", self.split):
            raise ValueError(
                f"a split's name is letters, digits, _ and ., got {self.split!r}; name it with --split "
                f"{split_name(self.split)}"
            )
        if self.shift < 0 or self.shard_clips < 1:
            raise ValueError(f"expected shift >= 0 and at least 1 clip a shard, got {self.shift}, {self.shard_clips}")
        if not 0 <= self.part[0] < self.part[1]:
            raise ValueError(f"expected part I/N with 0 <= I < N, got {self.part[0]}/{self.part[1]}")


def split_name(text: str) -> str:
    """A name that `datasets` takes for a split, for one that it may not take, such as dev-clean."""
    return re.sub(r"[^\w.]+", "_", text).lstrip(".") or "train"


@dataclass(frozen=True)
class TokenizingOutcome:
    """What a run did: clips and tokens written by it, clips that failed, shards written and shards that were there
    before; `seconds` of audio in `took_s` seconds, of which the codec `waited_s` for audio to be read."""

    clips: int
    tokens: int
    seconds: float
    failed: int
    shards: int
    n_present: int
    took_s: float
    waited_s: float


def tokenize(codec: LLMCodec, plan: TokenizingPlan, folder: Path, *, progress: bool = False) -> TokenizingOutcome:
    """Write the plan's tokens into a folder, as `token_corpus` describes it; go on where an earlier run stopped.

    Raises TokenCorpusError where the folder holds tokens of another codec, or of another source under the same split,
    and data.DataError where there is nothing to read. A clip that cannot be read is listed, not an error.
    """
    source = open_dataset(plan.dataset)
    n_clips = source.size
    n_shards = -(-n_clips // plan.shard_clips)
    write_source(folder, TokenSource.of(codec))
    own_shards = [index for index in range(n_shards) if index % plan.part[1] == plan.part[0]]
    names = {index: shard_name(plan.split, index, n_shards) for index in own_shards}
    missing = {i for i, name in names.items() if not (folder / DATA_FOLDER / f"{name}.parquet").exists()}
    _note_source(folder, plan, n_clips, is_whole=not missing)
    clips = tokens = samples = failed = 0
    started, waited = time.perf_counter(), 0.0
    to_do = sum(min(plan.shard_clips, n_clips - index * plan.shard_clips) for index in missing)
    bar = tqdm(total=to_do, unit="clip", desc=plan.split, disable=not progress, mininterval=1)
    with bar, ThreadPool() as pool:
        ahead = ReadAhead(pool, lambda item: _read(item, codec.config.sample_rate, plan.shift))
        for index, blocks in ahead.shards(_blocks(source, plan.shard_clips, n_shards, missing)):
            coded, bad = _code(codec, plan.domain, blocks, bar.update)
            _write_failed(folder, names[index], bad)
            write_shard(folder, names[index], coded)
            clips, failed = clips + len(coded), failed + len(bad)
            tokens += sum(len(clip.codes) for clip in coded)
            samples += sum(clip.n_samples for clip in coded)
        waited = ahead.waited_s
    seconds = samples / codec.config.sample_rate
    took = time.perf_counter() - started
    return TokenizingOutcome(clips, tokens, seconds, failed, len(missing), len(own_shards) - len(missing), took, waited)


@dataclass(frozen=True)
class Block:
    """Some clips of a shard, in order; `read` (samples float32 (S,), "") or (None, why not) of each."""

    shard: int
    items: list[DataRow]
    read: list[tuple[torch.Tensor | None, str]]


class ReadAhead:
    """Reads the next blocks while the codec works on the one before, also past the end of a shard.

    `waited_s` is how long the codec had nothing to do for that.
    """

    def __init__(self, pool: ThreadPool, read: Callable[[DataRow], tuple[torch.Tensor | None, str]]) -> None:
        self.pool, self.read = pool, read
        self.waited_s = 0.0

    def shards(self, blocks: Iterator[tuple[int, list[DataRow]]]) -> Iterator[tuple[int, Iterator[Block]]]:
        """(shard, its blocks), in order; every shard's blocks must be taken before the next shard."""
        yield from groupby(self._blocks(blocks), key=lambda block: block.shard)

    def _blocks(self, blocks: Iterator[tuple[int, list[DataRow]]]) -> Iterator[Block]:
        reading: deque[tuple[int, list[DataRow], Any]] = deque()
        for shard, items in blocks:
            reading.append((shard, items, self.pool.map_async(self.read, items)))
            if len(reading) > _BLOCKS_AHEAD:
                yield self._taken(*reading.popleft())
        while reading:
            yield self._taken(*reading.popleft())

    def _taken(self, shard: int, items: list[DataRow], outcomes: Any) -> Block:
        start = time.perf_counter()
        read = outcomes.get()
        self.waited_s += time.perf_counter() - start
        return Block(shard, items, read)


def _blocks(source: DataSet, size: int, count: int, missing: set[int]) -> Iterator[tuple[int, list[DataRow]]]:
    """(shard, some of its clips) of the shards that are missing."""
    items = source.rows()
    for shard in range(count):
        of_shard = islice(items, size)
        while block := list(islice(of_shard, _READ_AHEAD_CLIPS)):
            if shard in missing:
                yield shard, block


def _code(
    codec: LLMCodec, domain: str | None, blocks: Iterator[Block], report: Callable[[int], object]
) -> tuple[list[TokenClip], list[dict[str, str]]]:
    """A shard's clips in order, and those that could not be read with the reason."""
    coded: dict[int, TokenClip] = {}
    bad: list[dict[str, str]] = []
    waiting: list[tuple[int, DataRow, torch.Tensor]] = []

    def flush() -> None:
        codes = codec.encode_samples_batch([samples for _, _, samples in waiting], domain=domain)
        for (place, item, samples), clip_codes in zip(waiting, codes, strict=True):
            flat = np.ascontiguousarray(clip_codes.numpy().T.reshape(-1), dtype=np.int32)
            coded[place] = TokenClip(item.clip_id, flat, len(samples), item.text, item.speaker)
        report(len(waiting))
        waiting.clear()

    place = 0
    for block in blocks:
        for item, (samples, problem) in zip(block.items, block.read, strict=True):
            if samples is None:
                bad.append({"id": item.clip_id, "reason": problem})
                report(1)
            else:
                waiting.append((place, item, samples))
            place += 1
        if sum(len(samples) for _, _, samples in waiting) >= _READ_AHEAD_S * codec.config.sample_rate:
            flush()
    if waiting:
        flush()
    return [coded[index] for index in sorted(coded)], bad


def _read(item: DataRow, rate: int, shift: int) -> tuple[torch.Tensor | None, str]:
    """(samples float32 (S,), "") or (None, why not)."""
    try:
        clip = item.clip()
        samples = resample(mono(clip), clip.sampling_rate, rate)
    except (AudioError, OSError) as error:
        return None, " ".join(str(error).split())
    return torch.from_numpy(np.concatenate((np.zeros(shift, np.float32), samples.astype(np.float32, copy=False)))), ""


def _note_source(folder: Path, plan: TokenizingPlan, n_clips: int, is_whole: bool) -> None:
    """Write down what a split is made of, or check what is written. A whole split may have ids of another rule."""
    note = {
        "dataset": plan.dataset,
        "shift": plan.shift,
        "domain": plan.domain,
        "clips": n_clips,
        "shard_clips": plan.shard_clips,
        "id_rule": ID_RULE,
    }
    path = folder / SOURCES_FOLDER / f"{plan.split}.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        checked = [key for key in note if not (is_whole and key == "id_rule")]
        different = [
            f"{key} was {before.get(key)!r}, is {note[key]!r}" for key in checked if before.get(key) != note[key]
        ]
        if different:
            raise TokenCorpusError(
                f"{folder} holds a split {plan.split!r} that was made in another way: {'; '.join(different)}. Give "
                "this one another --split or --out"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_text(json.dumps(note, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_failed(folder: Path, name: str, bad: list[dict[str, str]]) -> None:
    path = folder / FAILED_FOLDER / f"{name}.jsonl"
    if not bad:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in bad), encoding="utf-8")
