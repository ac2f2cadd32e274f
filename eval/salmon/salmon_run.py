"""A run: every pair of a suite under every model, in windows that are each complete before the next begins."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from eval.harness import run_loop
from eval.harness.journal import JournalError
from eval.harness.model_specs import Unloaded
from eval.salmon.likelihood import Cost, Known, Likelihood, Outcome, encoded, measure, scored
from eval.salmon.pair_journal import PairBatch, PairJournal
from eval.salmon.pair_scores import PairScore, SalmonModelRun, SalmonRun
from eval.salmon.salmon_models import Model
from eval.salmon.suite import Pair, PairedRecording, Suite, SuiteError, fingerprint

# Recordings are sorted by length among the pairs of this many batches, so that a batch's are about equally long.
BUCKETS = 8


class PairKeeper(Protocol):
    """Where the audio of some pairs is kept to be listened to."""

    def wants(self, index: int) -> bool:
        """Whether the pair at this place of its part is one of them."""

    def keep(self, part: str, index: int, pair: Pair) -> None:
        """Keep it."""


@dataclass(frozen=True)
class SalmonPlan:
    """What a run does: the models, the pairs (at most `limit` a part), and recordings a batch."""

    models: Sequence[Model]
    suite: Suite
    parts: tuple[str, ...]
    batch_size: int
    limit: int | None = None
    unloaded: tuple[Unloaded, ...] = ()

    def __post_init__(self) -> None:
        run_loop.check_plan(self.batch_size, [model.info.name for model in self.models])
        missing = [part for part in self.parts if part not in self.suite.sizes]
        if missing or not self.parts:
            raise SuiteError(f"{self.suite.label} has no parts {missing}; it has {list(self.suite.parts)}")

    @property
    def total(self) -> int:
        """The number of pairs."""
        return run_loop.n_items((self.suite.sizes[part] for part in self.parts), self.limit)


def run(
    plan: SalmonPlan, *, journal: PairJournal | None = None, samples: PairKeeper | None = None, progress: bool = True
) -> SalmonRun:
    """Score the plan's pairs, but for those that the journal has; finished windows go into the journal.

    A recording that stands in several pairs is encoded and scored once. Raises SuiteError for a part without pairs or
    with repeated ids, and JournalError for pairs that are not those of the journal.
    """
    batches = list(journal.batches) if journal else []
    done = {(score.part, score.pair_id): score for batch in batches for score in batch.any_model}
    scored_before = _known(batches)
    order: list[tuple[str, str, str, str]] = []
    warm = False
    bars = run_loop.progress(plan.total, len(done), "pair", len(plan.models), "models", shown=progress)
    with bars as (bar, estimate):
        for window in run_loop.windows(_pairs(plan), max(1, plan.batch_size * BUCKETS // 2)):
            order.extend((p.part, p.pair_id, p.positive.digest, p.negative.digest) for _, p in window)
            new = [(index, pair) for index, pair in window if not _is_done(pair, done)]
            bar.update(len(window) - len(new))
            if not new:
                continue
            if not warm:
                _warm_up(plan.models)
                warm = True
            _keep(new, samples)
            start = time.perf_counter()
            batch = _scored(plan, [pair for _, pair in new], scored_before)
            estimate.add(time.perf_counter() - start, len(new))
            if journal:
                journal.add(batch)
            batches.append(batch)
            bar.update(len(new))
    run_loop.check_none_gone(done.keys(), ((part, pair_id) for part, pair_id, _, _ in order), "suite", "pairs")
    _refuse_empty(plan, order)
    return SalmonRun(plan.parts, _gathered(plan, batches, order), fingerprint(order), plan.unloaded)


def _pairs(plan: SalmonPlan) -> Iterator[tuple[int, Pair]]:
    """The pairs of all parts in order, each with its place in its part."""
    for part in plan.parts:
        yield from enumerate(plan.suite.pairs(part, plan.limit))


def _scored(plan: SalmonPlan, pairs: Sequence[Pair], scored_before: Known) -> PairBatch:
    recordings: dict[str, PairedRecording] = {}
    for pair in pairs:
        recordings |= {_key(recording): recording for recording in (pair.positive, pair.negative)}
    outcomes, costs = measure(plan.models, recordings, scored_before, plan.batch_size)
    scores = {name: [_pair_score(pair, by_recording) for pair in pairs] for name, by_recording in outcomes.items()}
    return PairBatch(scores, {name: cost + Cost(pairs=len(pairs)) for name, cost in costs.items()})


def _pair_score(pair: Pair, outcomes: Mapping[str, Outcome]) -> PairScore:
    positive, negative = outcomes[_key(pair.positive)], outcomes[_key(pair.negative)]
    digests = (pair.positive.digest, pair.negative.digest)
    if isinstance(positive, Likelihood) and isinstance(negative, Likelihood):
        nats = (positive.nats, negative.nats)
        return PairScore(pair.part, pair.pair_id, *nats, positive.tokens, negative.tokens, *digests)
    failed = ((which, outcome) for which, outcome in (("positive", positive), ("negative", negative)))
    reasons = "; ".join(f"{which}: {outcome}" for which, outcome in failed if isinstance(outcome, str))
    return PairScore(pair.part, pair.pair_id, None, None, 0, 0, *digests, failure=reasons)


def _key(recording: PairedRecording) -> str:
    # Unreadable recordings may have no digest; they differ by what is wrong with them.
    return recording.digest if recording.problem is None else f"{recording.digest} {recording.problem}"


def _known(batches: Sequence[PairBatch]) -> Known:
    """What a run that goes on knows, so that it gives a repeated recording the score that it had."""
    likelihoods = Known()
    for batch in batches:
        for model, scores in batch.scores.items():
            for score in scores:
                if score.positive is not None and score.negative is not None:
                    likelihoods.of(model)[score.positive_digest] = Likelihood(score.positive, score.positive_tokens)
                    likelihoods.of(model)[score.negative_digest] = Likelihood(score.negative, score.negative_tokens)
    return likelihoods


def _gathered(
    plan: SalmonPlan, batches: Sequence[PairBatch], order: Sequence[tuple[str, str, str, str]]
) -> tuple[SalmonModelRun, ...]:
    """The batches' scores by model and part, in the suite's order."""
    gathered = []
    for model in plan.models:
        name = model.info.name
        by_pair = {(score.part, score.pair_id): score for batch in batches for score in batch.scores[name]}
        scores: dict[str, list[PairScore]] = {part: [] for part in plan.parts}
        for part, pair_id, _, _ in order:
            scores[part].append(by_pair[part, pair_id])
        cost = sum((batch.costs[name] for batch in batches), Cost())
        gathered.append(SalmonModelRun(model.info, scores, cost.encode_s, cost.score_s, cost.audio_s, cost.pairs))
    return tuple(gathered)


def _is_done(pair: Pair, done: Mapping[tuple[str, str], PairScore]) -> bool:
    before = done.get((pair.part, pair.pair_id))
    if before is None:
        return False
    if (before.positive_digest, before.negative_digest) != (pair.positive.digest, pair.negative.digest):
        raise JournalError(f"the audio of {pair.pair_id!r} of {pair.part} is another than when this run began")
    return True


def _keep(pairs: Sequence[tuple[int, Pair]], samples: PairKeeper | None) -> None:
    for index, pair in pairs:
        if samples is not None and samples.wants(index):
            samples.keep(pair.part, index, pair)


def _warm_up(models: Sequence[Model]) -> None:
    """A second of noise: the first call of a model pays for things that later ones do not."""
    noise = (0.1 * np.random.default_rng(0).standard_normal(rate := 16_000)).astype(np.float32)
    for model in models:
        tokens, _ = encoded(model.tokenizer, {"": PairedRecording(noise, rate, "")}, 1)
        scored(model.lm, tokens, 1)


def _refuse_empty(plan: SalmonPlan, order: Sequence[tuple[str, str, str, str]]) -> None:
    empty = set(plan.parts) - {part for part, _, _, _ in order}
    if empty:
        raise SuiteError(f"{plan.suite.label} has no pairs in {', '.join(sorted(empty))}")
