"""A run: every clip through every codec, scored, in batches that are each complete before the next begins."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from eval.harness import corpora
from eval.harness.corpora import ClipCorpus, CorpusClip
from eval.harness.duration import RunEstimate
from eval.reconstruction import peak_memory
from eval.reconstruction.clip_journal import ClipBatch, ClipJournal, JournalError
from eval.reconstruction.clip_results import (
    ClipResult,
    CodecRun,
    ReconstructionRun,
    SplitRun,
    UnloadedCodec,
    Usage,
    no_scores,
)
from eval.reconstruction.clip_samples import ClipSamples
from eval.reconstruction.codecs import CodecInfo, MeasuredCodec
from eval.reconstruction.coding_batches import Reconstruction, reconstruct_each
from eval.reconstruction.metrics import Metric, Score
from eval.reconstruction.originals import Originals
from eval.reconstruction.score_cache import Cache, Cached
from eval.reconstruction.scoring import DIED, ORIGINALS, Job, Scorer

# Clips are sorted by length among this many batches, so that a batch's clips are about equally long.
BUCKETS = 4


@dataclass(frozen=True)
class ReconstructionPlan:
    """What a run does: the codecs, the clips (at most `limit` a split), the metrics, and clips a batch."""

    models: Sequence[MeasuredCodec]
    corpus: ClipCorpus
    splits: Sequence[str]
    metrics: tuple[Metric, ...]
    batch_size: int
    limit: int | None = None
    unloaded: tuple[UnloadedCodec, ...] = ()

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"expected a batch size of 1 or more, got {self.batch_size}")
        names = [model.info.name for model in self.models]
        if len(set(names)) < len(names):
            raise ValueError(f"models are told apart by name, got {names}; give one another by NEW_NAME=...")
        if ORIGINALS in names:
            raise ValueError(f"{ORIGINALS!r} is the name of the clips themselves; give the model another")

    @property
    def measured(self) -> tuple[MeasuredCodec, ...]:
        """The codecs, and the originals where a metric has a floor."""
        return (*self.models, *([Originals()] if any(metric.has_floor for metric in self.metrics) else []))

    def metrics_of(self, info: CodecInfo) -> tuple[Metric, ...]:
        """The metrics that are computed of a codec, or of the originals."""
        return tuple(metric for metric in self.metrics if metric.has_floor or info.name != ORIGINALS)

    @property
    def total(self) -> int:
        """The number of clips."""
        sizes = (self.corpus.splits[split].size for split in self.splits)
        return sum(size if self.limit is None else min(size, self.limit) for size in sizes)


def run(
    plan: ReconstructionPlan,
    scorer: Scorer,
    *,
    journal: ClipJournal | None = None,
    cache: Cache | None = None,
    samples: ClipSamples | None = None,
    progress: bool = False,
) -> ReconstructionRun:
    """Reconstruct and score the plan's clips, but for those that the journal has; finished batches go into the journal.

    The workers rest while codecs work and the other way round, so that real-time factors are those of the codec alone.
    Raises corpora.CorpusError for repeated ids, JournalError for clips that are not those of the journal.
    """
    batches = list(journal.batches) if journal else []
    done = {(result.split, result.clip_id): (result.key, result.index) for batch in batches for result in batch.results}
    identities: list[tuple[str, str, str]] = []
    with tqdm(total=plan.total, unit="clip", desc="clips", disable=not progress, leave=False) as bar:
        bar.update(len(done))
        todo = plan.total - len(done)
        estimate = RunEstimate(todo, "clips", len(plan.models), "codecs", bar, quiet=not progress)
        warm = False
        weighed = {batch.split for batch in batches}
        for split in plan.splits:
            clips = enumerate(plan.corpus.clips(split, plan.limit))
            for window in _windows(clips, plan.batch_size * BUCKETS):
                identities.extend((clip.split, clip.clip_id, clip.digest) for _, clip in window)
                new = [(index, clip) for index, clip in window if not _is_done(clip, index, done)]
                for part in _by_length(new, plan.batch_size):
                    if not warm:
                        _warm_up(plan.models, [clip for _, clip in part if clip.problem is None])
                        warm = True
                    a_round = _Round(plan, scorer, cache, samples, split not in weighed, len(batches))
                    weighed.add(split)
                    start = time.perf_counter()
                    batch = a_round.run(split, part)
                    spent = time.perf_counter() - start - (_coding_s(batch) if a_round.weighs else 0.0)
                    estimate.add(spent, len(part), _relative_length(part, new))
                    if journal:
                        journal.add(batch)
                    batches.append(batch)
                    bar.update(len(part))
    gone = done.keys() - {(split, clip_id) for split, clip_id, _ in identities}
    if gone:
        raise JournalError(
            f"the data set no longer has {len(gone)} clips of this run, {sorted(gone)[0]}; begin a new run"
        )
    found = _gathered(plan, batches)
    originals = found.pop(ORIGINALS, None)
    return ReconstructionRun(
        list(found.values()), plan.metrics, corpora.fingerprint(identities), plan.unloaded, originals
    )


def _coding_s(batch: ClipBatch) -> float:
    """Seconds of coding a batch, which is what the pass in which memory is measured takes beside."""
    return sum(usage.encode_s + usage.decode_s for usage in batch.usage.values())


def _relative_length(part: Sequence[tuple[int, CorpusClip]], window: Sequence[tuple[int, CorpusClip]]) -> float:
    """How long a batch's clips are in the mean, beside those of its window; 1 where nothing has a length."""
    means = [sum(clip.seconds for _, clip in clips) / len(clips) for clips in (part, window)]
    return means[0] / means[1] if all(means) else 1.0


@dataclass(frozen=True)
class _Round:
    """One batch through all codecs; `weighs` says whether memory is measured on it, `number` who begins."""

    plan: ReconstructionPlan
    scorer: Scorer
    cache: Cache | None
    samples: ClipSamples | None
    weighs: bool
    number: int

    def run(self, split: str, part: Sequence[tuple[int, CorpusClip]]) -> ClipBatch:
        """Reconstruct and score the clips, given with their places in the split."""
        readable = [(index, clip) for index, clip in part if clip.problem is None]
        models = self.plan.measured
        usage = {model.info.name: Usage() for model in models}
        known = {model.info.name: self._cached(model, readable) for model in models}
        made: dict[str, dict[str, Reconstruction | str]] = {}
        # Another one begins each time: what ran before a codec is the same for all of them over a run.
        first = self.number % len(models)
        for model in (*models[first:], *models[:first]):
            name = model.info.name
            todo = [clip for _, clip in readable if clip.clip_id not in known[name]]
            if self.weighs and todo:
                usage[name].peak_mib = _peak_mib(model, todo)
            made[name] = _reconstructed(model, todo, usage[name])
            for outcome in known[name].values():
                usage[name].codes.update(outcome.codes)
        scores = self._scored([clip for _, clip in readable], made)
        self._kept(readable, made, scores)
        results = [
            self._result(index, clip, model.info, known[model.info.name], made[model.info.name], scores)
            for index, clip in part
            for model in models
        ]
        return ClipBatch(split, results, usage)

    def _cached(self, model: MeasuredCodec, clips: Sequence[tuple[int, CorpusClip]]) -> dict[str, Cached]:
        if self.cache is None:
            return {}
        found = {}
        for index, clip in clips:
            if self.samples is not None and self.samples.wants(index):
                continue  # its audio is wanted, and a cache has none
            outcome = self.cache.get(model.info, clip, self.plan.metrics_of(model.info))
            if outcome is not None:
                found[clip.clip_id] = outcome
        return found

    def _scored(
        self, clips: Sequence[CorpusClip], made: Mapping[str, Mapping[str, Reconstruction | str]]
    ) -> dict[str, dict[str, dict[str, Score]]]:
        """Clip id -> model -> metric -> Score, of what was reconstructed just now."""
        names = tuple(metric.name for metric in self.plan.metrics)
        jobs = {}
        for clip in clips:
            results = ((model, by_id.get(clip.clip_id)) for model, by_id in made.items())
            estimates = {model: result.samples for model, result in results if isinstance(result, Reconstruction)}
            if estimates:
                jobs[clip.clip_id] = Job(clip.samples, clip.rate, estimates, names, clip.text, clip.lang)
        return dict(zip(jobs, self.scorer.map(list(jobs.values())), strict=True))

    def _kept(
        self,
        clips: Sequence[tuple[int, CorpusClip]],
        made: Mapping[str, Mapping[str, Reconstruction | str]],
        scores: Mapping[str, Mapping[str, dict[str, Score]]],
    ) -> None:
        """Keep the audio that is to be listened to, and cache the outcomes."""
        for index, clip in clips:
            results = {model: by_id.get(clip.clip_id) for model, by_id in made.items()}
            new = {model: result for model, result in results.items() if isinstance(result, Reconstruction)}
            if self.samples is not None and self.samples.wants(index):
                kept = {model: result.samples for model, result in new.items() if model != ORIGINALS}
                self.samples.keep(clip, index, kept)
            if self.cache is not None:
                for model in self.plan.measured:
                    result = new.get(model.info.name)
                    # A process that died may have had too little memory: the next time it may not.
                    if result is not None and DIED not in scores[clip.clip_id][model.info.name].values():
                        codes = _codes(result, model.info)
                        outcome = Cached(_n_tokens(result), result.n_bits, codes, scores[clip.clip_id][model.info.name])
                        self.cache.put(model.info, clip, self.plan.metrics_of(model.info), outcome)
        if self.cache is not None:
            self.cache.commit()

    def _result(
        self,
        index: int,
        clip: CorpusClip,
        info: CodecInfo,
        known: Mapping[str, Cached],
        made: Mapping[str, Reconstruction | str],
        scores: Mapping[str, Mapping[str, dict[str, Score]]],
    ) -> ClipResult:
        n_tokens = n_bits = failure = None
        if clip.clip_id in known:
            outcome = known[clip.clip_id]
            n_tokens, n_bits, by_metric = outcome.n_tokens, outcome.n_bits, outcome.scores
        else:
            result = clip.problem or made[clip.clip_id]
            if isinstance(result, str):
                failure, by_metric = result, no_scores(self.plan.metrics_of(info), result)
            else:
                n_tokens, n_bits, by_metric = _n_tokens(result), result.n_bits, scores[clip.clip_id][info.name]
        seconds = 0.0 if clip.problem else clip.seconds
        place = (info.name, clip.split, index, clip.clip_id, clip.source, seconds, clip.rate, clip.digest, clip.key)
        return ClipResult(*place, n_tokens, n_bits, failure, by_metric)


def _reconstructed(model: MeasuredCodec, clips: Sequence[CorpusClip], usage: Usage) -> dict[str, Reconstruction | str]:
    """Each clip's reconstruction or the reason of its failure; what it cost is added to `usage`."""
    if not clips:
        return {}
    outcome = reconstruct_each(model, clips)
    by_id = {clip.clip_id: result for clip, result in zip(clips, outcome.outcomes, strict=True)}
    good = [(clip, result) for clip in clips if isinstance(result := by_id[clip.clip_id], Reconstruction)]
    timed_s = sum(clip.seconds for clip, _ in good) if model.info.timed else 0.0
    usage.add(Usage(outcome.encode_s, outcome.decode_s, timed_s))
    for _, result in good:
        usage.codes.update(_codes(result, model.info))
    return by_id


def _peak_mib(model: MeasuredCodec, clips: Sequence[CorpusClip]) -> float | None:
    """The memory (MiB) that a batch takes beyond the loaded model, in a pass of its own; None where it is another
    process's, or where nothing is coded."""
    if not (model.info.timed and model.info.in_process):
        return None
    return peak_memory.peak_mib(model.info.device, lambda: reconstruct_each(model, _nameless(clips)))


def _nameless(clips: Sequence[CorpusClip]) -> list[CorpusClip]:
    return [dataclasses.replace(clip, clip_id="warm-up") for clip in clips]


def _codes(result: Reconstruction, info: CodecInfo) -> Any:
    counts = Usage()
    if result.codes is not None and info.codebook_size is not None:
        counts.count(result.codes, info.codebook_size)
    return counts.codes


def _n_tokens(result: Reconstruction) -> int | None:
    return None if result.codes is None else int(result.codes.size)


def _gathered(plan: ReconstructionPlan, batches: Iterable[ClipBatch]) -> dict[str, CodecRun]:
    """The batches' results by codec and split, in the data set's order; those of the originals among them."""
    models = {
        model.info.name: CodecRun(model.info, {split: SplitRun() for split in plan.splits}) for model in plan.measured
    }
    for batch in batches:
        for result in batch.results:
            models[result.model].splits[batch.split].clips.append(result)
        for name, usage in batch.usage.items():
            models[name].splits[batch.split].usage.add(usage)
    for model in models.values():
        for part in model.splits.values():
            part.clips.sort(key=lambda clip: clip.index)
    return models


def _is_done(clip: CorpusClip, index: int, done: Mapping[tuple[str, str], tuple[str, int]]) -> bool:
    before = done.get((clip.split, clip.clip_id))
    if before is not None and before != (clip.key, index):
        what = "in another place" if before[0] == clip.key else "another one (its audio, text or source)"
        raise JournalError(f"{clip.clip_id!r} of {clip.split} is {what} than when this run began; begin a new run")
    return before is not None


def _warm_up(models: Sequence[MeasuredCodec], clips: Sequence[CorpusClip]) -> None:
    """The first batch once for nothing: a first call pays for things that later ones, and other models, do not."""
    peak_memory.settle()
    for model in models:
        if model.info.timed and clips:
            reconstruct_each(model, _nameless(clips))


def _windows(clips: Iterable[tuple[int, CorpusClip]], size: int) -> Iterator[list[tuple[int, CorpusClip]]]:
    window: list[tuple[int, CorpusClip]] = []
    for item in clips:
        window.append(item)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window


def _by_length(clips: Sequence[tuple[int, CorpusClip]], size: int) -> Iterator[list[tuple[int, CorpusClip]]]:
    """Batches of about equally long clips, the longest first."""
    ordered = sorted(clips, key=lambda item: -item[1].seconds)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
