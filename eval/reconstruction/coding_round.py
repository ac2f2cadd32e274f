"""One batch of clips through every codec: what the cache has, what is reconstructed now, and the scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.harness.clips import CorpusClip
from eval.reconstruction import peak_memory
from eval.reconstruction.clip_journal import ClipBatch
from eval.reconstruction.clip_results import ClipResult, Usage, no_scores
from eval.reconstruction.clip_samples import ClipSamples
from eval.reconstruction.codecs import CodecInfo, MeasuredCodec
from eval.reconstruction.coding_batches import Reconstruction, reconstruct_each
from eval.reconstruction.metrics import Score
from eval.reconstruction.reconstruction_plan import ReconstructionPlan
from eval.reconstruction.score_cache import Cache, Cached
from eval.reconstruction.scoring import DIED, ORIGINALS, Job, Scorer


@dataclass(frozen=True)
class CodingRound:
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
        cached = {model.info.name: self._cached(model, readable) for model in models}
        outcomes: dict[str, dict[str, Reconstruction | str]] = {}
        # Another one begins each time: what ran before a codec is the same for all of them over a run.
        first = self.number % len(models)
        for model in (*models[first:], *models[:first]):
            name = model.info.name
            todo = [clip for _, clip in readable if clip.clip_id not in cached[name]]
            if self.weighs and todo:
                usage[name].peak_mib = _peak_mib(model, todo)
            outcomes[name] = _reconstructed(model, todo, usage[name])
            for outcome in cached[name].values():
                usage[name].codes.update(outcome.codes)
        scores = self._scored([clip for _, clip in readable], outcomes)
        self._kept(readable, outcomes, scores)
        results = [
            self._result(index, clip, model.info, cached[model.info.name], outcomes[model.info.name], scores)
            for index, clip in part
            for model in models
        ]
        return ClipBatch(split, results, usage)

    def _cached(self, model: MeasuredCodec, clips: Sequence[tuple[int, CorpusClip]]) -> dict[str, Cached]:
        if self.cache is None:
            return {}
        cached = {}
        for index, clip in clips:
            if self.samples is not None and self.samples.wants(index):
                continue  # its audio is wanted, and a cache has none
            outcome = self.cache.get(model.info, clip, self.plan.metrics_of(model.info))
            if outcome is not None:
                cached[clip.clip_id] = outcome
        return cached

    def _scored(
        self, clips: Sequence[CorpusClip], outcomes: Mapping[str, Mapping[str, Reconstruction | str]]
    ) -> dict[str, dict[str, dict[str, Score]]]:
        """Clip id -> model -> metric -> Score, of what was reconstructed just now."""
        names = tuple(metric.name for metric in self.plan.metrics)
        jobs = {}
        for clip in clips:
            results = ((model, by_id.get(clip.clip_id)) for model, by_id in outcomes.items())
            estimates = {model: result.samples for model, result in results if isinstance(result, Reconstruction)}
            if estimates:
                jobs[clip.clip_id] = Job(clip.samples, clip.rate, estimates, names, clip.text, clip.lang)
        return dict(zip(jobs, self.scorer.map(list(jobs.values())), strict=True))

    def _kept(
        self,
        clips: Sequence[tuple[int, CorpusClip]],
        outcomes: Mapping[str, Mapping[str, Reconstruction | str]],
        scores: Mapping[str, Mapping[str, dict[str, Score]]],
    ) -> None:
        """Keep the audio that is to be listened to, and cache the outcomes."""
        for index, clip in clips:
            results = {model: by_id.get(clip.clip_id) for model, by_id in outcomes.items()}
            new = {model: result for model, result in results.items() if isinstance(result, Reconstruction)}
            if self.samples is not None and self.samples.wants(index):
                samples = {model: result.samples for model, result in new.items() if model != ORIGINALS}
                self.samples.keep(clip, index, samples)
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
        cached: Mapping[str, Cached],
        outcomes: Mapping[str, Reconstruction | str],
        scores: Mapping[str, Mapping[str, dict[str, Score]]],
    ) -> ClipResult:
        n_tokens = n_bits = failure = None
        if clip.clip_id in cached:
            outcome = cached[clip.clip_id]
            n_tokens, n_bits, by_metric = outcome.n_tokens, outcome.n_bits, outcome.scores
        else:
            result = clip.problem or outcomes[clip.clip_id]
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


def warm_up(models: Sequence[MeasuredCodec], clips: Sequence[CorpusClip]) -> None:
    """The first batch once for nothing: a first call pays for things that later ones, and other models, do not."""
    peak_memory.settle()
    for model in models:
        if model.info.timed and clips:
            reconstruct_each(model, _nameless(clips))
