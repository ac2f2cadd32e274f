"""A run: every clip through every codec, scored, in batches that are each complete before the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from eval import codec_models, corpora
from eval.codec_models import CodecInfo, CodecModel, Reconstruction
from eval.corpora import Clip, Corpus
from eval.metrics import Metric, Score
from eval.scoring import Job, Scorer


@dataclass(frozen=True)
class ClipResult:
    """What one codec did on one clip; `failure` is why there is no reconstruction."""

    model: str
    split: str
    clip_id: str
    source: str
    seconds: float
    rate: int
    n_tokens: int | None
    failure: str | None
    scores: dict[str, Score]


@dataclass
class SplitRun:
    """One codec on one split, filled while the run goes on. `codes` holds level * codebook_size + code."""

    clips: list[ClipResult] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)
    wall_s: float = 0.0
    audio_s: float = 0.0

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of encoding and decoding per second of audio; None before anything was reconstructed."""
        return self.wall_s / self.audio_s if self.audio_s else None

    @property
    def failures(self) -> list[ClipResult]:
        """The clips without a reconstruction."""
        return [clip for clip in self.clips if clip.failure is not None]


@dataclass(frozen=True)
class ModelRun:
    """One codec on the data set."""

    info: CodecInfo
    splits: dict[str, SplitRun]

    @property
    def overall(self) -> SplitRun:
        """All splits as one, every clip counting once."""
        parts = list(self.splits.values())
        return SplitRun(
            clips=[clip for part in parts for clip in part.clips],
            codes=set().union(*(part.codes for part in parts)),
            wall_s=sum(part.wall_s for part in parts),
            audio_s=sum(part.audio_s for part in parts),
        )


@dataclass(frozen=True)
class Run:
    """All codecs on the same clips; `fingerprint` identifies those clips."""

    models: list[ModelRun]
    metrics: tuple[Metric, ...]
    fingerprint: str


def run(
    models: Sequence[CodecModel],
    corpus: Corpus,
    splits: Sequence[str],
    metrics: tuple[Metric, ...],
    scorer: Scorer,
    *,
    batch_size: int,
    limit: int | None = None,
    progress: bool = False,
) -> Run:
    """Reconstruct and score the splits' clips, at most `limit` a split.

    The workers rest while codecs work and the other way round, so that real-time factors are those of the codec alone.
    Raises corpora.CorpusError for repeated ids, ValueError for a batch size below 1 or two models of one name.
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch size of 1 or more, got {batch_size}")
    names = [model.info.name for model in models]
    if len(set(names)) < len(names):
        raise ValueError(f"models are told apart by name, got {names}")
    outcome = [ModelRun(model.info, {split: SplitRun() for split in splits}) for model in models]
    identities: list[tuple[str, str, str]] = []
    for model in models:
        codec_models.reconstruct_each(model, [_warm_up_clip()])
    total = sum(_size(corpus, split, limit) for split in splits)
    with _progress_bar(total, progress) as bar:
        for split in splits:
            for batch in _batches(corpus.clips(split, limit), batch_size):
                _run_batch(models, batch, metrics, scorer, [one.splits[split] for one in outcome])
                identities.extend((clip.split, clip.clip_id, clip.digest) for clip in batch)
                bar.update(len(batch))
    return Run(outcome, metrics, corpora.fingerprint(identities))


def _run_batch(
    models: Sequence[CodecModel],
    batch: Sequence[Clip],
    metrics: tuple[Metric, ...],
    scorer: Scorer,
    outcome: Sequence[SplitRun],
) -> None:
    """Reconstruct a batch by each model, score it, and add the results to each model's SplitRun."""
    readable = [clip for clip in batch if clip.problem is None]
    made: list[dict[str, Reconstruction | str]] = []
    for model, split_run in zip(models, outcome, strict=True):
        timed = codec_models.reconstruct_each(model, readable) if readable else codec_models.Timed([], 0.0)
        by_id = {clip.clip_id: result for clip, result in zip(readable, timed.outcomes, strict=True)}
        made.append(by_id)
        split_run.wall_s += timed.wall_s
        for clip in readable:
            result = by_id[clip.clip_id]
            if isinstance(result, Reconstruction):
                split_run.audio_s += clip.seconds
                split_run.codes.update(_used(result.codes, model.info.codebook_size))
    names = tuple(metric.name for metric in metrics)
    jobs = []
    for clip in readable:
        results = ((model.info.name, by_id[clip.clip_id]) for model, by_id in zip(models, made, strict=True))
        estimates = {name: result.samples for name, result in results if isinstance(result, Reconstruction)}
        jobs.append(Job(clip.samples, clip.rate, estimates, names))
    scored = dict(zip((clip.clip_id for clip in readable), scorer.map(jobs), strict=True))
    for clip in batch:
        for model, by_id, split_run in zip(models, made, outcome, strict=True):
            result = clip.problem or by_id[clip.clip_id]
            split_run.clips.append(_clip_result(clip, model.info.name, result, scored.get(clip.clip_id, {}), names))


def _clip_result(
    clip: Clip, model: str, result: Reconstruction | str, scored: dict[str, dict[str, Score]], names: tuple[str, ...]
) -> ClipResult:
    if isinstance(result, str):
        scores = {name: Score(reason=f"no reconstruction: {result}") for name in names}
        n_tokens = None
    else:
        scores = scored[model]
        n_tokens = None if result.codes is None else int(result.codes.size)
    failure = result if isinstance(result, str) else None
    seconds = 0.0 if clip.problem else clip.seconds
    return ClipResult(model, clip.split, clip.clip_id, clip.source, seconds, clip.rate, n_tokens, failure, scores)


def _used(codes: np.ndarray | None, codebook_size: int | None) -> list[int]:
    if codes is None or codebook_size is None:
        return []
    levels = np.arange(codes.shape[0])[:, None] * codebook_size
    return [int(code) for code in np.unique(codes + levels)]


def _warm_up_clip() -> Clip:
    """A second of noise: the first call of a model pays for things that later ones do not."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(rate := 16_000)
    return Clip("warm-up", "-", "-", noise.astype(np.float32), rate, "")


def _size(corpus: Corpus, split: str, limit: int | None) -> int:
    size = corpus.splits[split].size
    return size if limit is None else min(size, limit)


def _batches(clips: Iterable[Clip], size: int) -> Iterator[list[Clip]]:
    batch: list[Clip] = []
    for clip in clips:
        batch.append(clip)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _progress_bar(total: int, shown: bool) -> Any:
    return tqdm(total=total, unit="clip", desc="clips", disable=not shown, leave=False)
