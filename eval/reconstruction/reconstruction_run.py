"""A run: every clip through every codec, scored, in batches that are each complete before the next begins."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from eval.harness import run_loop
from eval.harness.clips import CorpusClip, fingerprint
from eval.harness.journal import JournalError
from eval.reconstruction.clip_journal import ClipBatch, ClipJournal
from eval.reconstruction.clip_results import CodecRun, ReconstructionRun, SplitRun
from eval.reconstruction.clip_samples import ClipSamples
from eval.reconstruction.coding_round import CodingRound, warm_up
from eval.reconstruction.reconstruction_plan import ReconstructionPlan
from eval.reconstruction.score_cache import Cache
from eval.reconstruction.scoring import ORIGINALS, Scorer

# Clips are sorted by length among this many batches, so that a batch's clips are about equally long.
BUCKETS = 4


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
    Raises DataError for repeated ids, JournalError for clips that are not those of the journal.
    """
    batches = list(journal.batches) if journal else []
    done = {(result.split, result.clip_id): (result.key, result.index) for batch in batches for result in batch.results}
    identities: list[tuple[str, str, str]] = []
    bars = run_loop.progress(plan.total, len(done), "clip", len(plan.models), "codecs", shown=progress)
    with bars as (bar, estimate):
        bar.update(len(done))
        warm = False
        weighed = {batch.split for batch in batches}
        for split in plan.splits:
            clips = enumerate(plan.corpus.clips(split, plan.limit))
            for window in run_loop.windows(clips, plan.batch_size * BUCKETS):
                identities.extend((clip.split, clip.clip_id, clip.digest) for _, clip in window)
                new = [(index, clip) for index, clip in window if not _is_done(clip, index, done)]
                for part in run_loop.by_length(new, lambda item: item[1].seconds, plan.batch_size):
                    if not warm:
                        warm_up(plan.models, [clip for _, clip in part if clip.problem is None])
                        warm = True
                    coding = CodingRound(plan, scorer, cache, samples, split not in weighed, len(batches))
                    weighed.add(split)
                    start = time.perf_counter()
                    batch = coding.run(split, part)
                    spent = time.perf_counter() - start - (_coding_s(batch) if coding.weighs else 0.0)
                    estimate.add(spent, len(part), _relative_length(part, new))
                    if journal:
                        journal.add(batch)
                    batches.append(batch)
                    bar.update(len(part))
    seen = ((split, clip_id) for split, clip_id, _ in identities)
    run_loop.check_none_gone(done.keys(), seen, "data set", "clips")
    models = _gathered(plan, batches)
    originals = models.pop(ORIGINALS, None)
    return ReconstructionRun(list(models.values()), plan.metrics, fingerprint(identities), plan.unloaded, originals)


def _coding_s(batch: ClipBatch) -> float:
    """Seconds of coding a batch, which is what the pass in which memory is measured takes beside."""
    return sum(usage.encode_s + usage.decode_s for usage in batch.usage.values())


def _relative_length(part: Sequence[tuple[int, CorpusClip]], window: Sequence[tuple[int, CorpusClip]]) -> float:
    """How long a batch's clips are in the mean, beside those of its window; 1 where nothing has a length."""
    means = [sum(clip.seconds for _, clip in clips) / len(clips) for clips in (part, window)]
    return means[0] / means[1] if all(means) else 1.0


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
