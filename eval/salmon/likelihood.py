"""The log-likelihood of recordings under models, in batches; a recording that fails has a reason and costs only itself.

Letters: S samples, N tokens.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from eval.harness.codec_tokenizer import AudioTokenizer
from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from eval.harness.run_loop import by_length
from eval.salmon.salmon_models import Model
from eval.salmon.suite import PairedRecording
from soundcodec_llmcodec.lm.scores import TokenLM, TokenScores

# Nats are counted in units of 2^-30, finer than a float32 score is. Sums are then exact, so that equal tokens have
# equal scores in whatever order they are added, and a mean over N equal ones is each of them: ties are ties.
UNITS_PER_NAT = 2**30

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Likelihood:
    """Nats summed over a recording's scored tokens, and the number of them."""

    nats: float
    tokens: int


Outcome = Likelihood | str  # a recording's likelihood, or why it has none


@dataclass(frozen=True)
class Cost:
    """Seconds in the codec and in the language model, and the seconds of audio and the pairs that they were for."""

    encode_s: float = 0.0
    score_s: float = 0.0
    audio_s: float = 0.0
    pairs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.encode_s + other.encode_s,
            self.score_s + other.score_s,
            self.audio_s + other.audio_s,
            self.pairs + other.pairs,
        )


@dataclass
class Known:
    """What is known already: model -> digest of a recording -> its likelihood."""

    likelihoods: dict[str, dict[str, Likelihood]] = field(default_factory=dict)

    def of(self, model: str) -> dict[str, Likelihood]:
        """The model's, to read and to add to."""
        return self.likelihoods.setdefault(model, {})


def measure(
    models: Sequence[Model], recordings: Mapping[str, PairedRecording], scored_before: Known, batch_size: int
) -> tuple[dict[str, dict[str, Outcome]], dict[str, Cost]]:
    """Every model's outcome of recordings by digest, and what it cost; what was found is added to `known`.

    Models of one codec share its tokens, and their encoding counts for each of them.
    """
    outcomes: dict[str, dict[str, Outcome]] = {}
    costs: dict[str, Cost] = {}
    for group in _by_codec(models):
        names = [model.info.name for model in group]
        todo = {
            d: recording
            for d, recording in recordings.items()
            if any(d not in scored_before.of(name) for name in names)
        }
        tokens, encode_s = encoded(group[0].tokenizer, todo, batch_size)
        for model, name in zip(group, names, strict=True):
            own = scored_before.of(name)
            new, score_s = scored(model.lm, {d: ids for d, ids in tokens.items() if d not in own}, batch_size)
            own.update((d, outcome) for d, outcome in new.items() if isinstance(outcome, Likelihood))
            outcomes[name] = {**{d: own[d] for d in recordings if d in own}, **new}
            seconds = sum(todo[d].seconds for d, outcome in new.items() if isinstance(outcome, Likelihood))
            costs[name] = Cost(encode_s, score_s, seconds)
    return outcomes, costs


def encoded(
    tokenizer: AudioTokenizer, recordings: Mapping[str, PairedRecording], batch_size: int
) -> tuple[dict[str, np.ndarray | str], float]:
    """Tokens int64 (N,), or the reason why there are none, by digest; seconds in the codec."""
    tokens: dict[str, np.ndarray | str] = {
        d: recording.problem for d, recording in recordings.items() if recording.problem is not None
    }
    seconds = 0.0
    readable = {d: recording for d, recording in recordings.items() if d not in tokens}
    for batch in by_length(readable, lambda key: readable[key].seconds, batch_size):
        sounds = [(readable[d].samples, readable[d].rate) for d in batch]
        results, spent = each(tokenizer.tokens, sounds)
        seconds += spent
        reasons = (f"no tokens: {result}" if isinstance(result, str) else result for result in results)
        tokens.update(zip(batch, reasons, strict=True))
    return tokens, seconds


def scored(lm: TokenLM, tokens: Mapping[str, np.ndarray | str], batch_size: int) -> tuple[dict[str, Outcome], float]:
    """Outcomes by digest, and seconds in the language model. Equal tokens are scored once."""
    by_tokens: dict[str, np.ndarray] = {}
    keys: dict[str, str] = {}
    outcomes: dict[str, Outcome] = {}
    for digest, ids in tokens.items():
        if isinstance(ids, str):
            outcomes[digest] = ids
            continue
        keys[digest] = hashlib.sha256(ids.tobytes()).hexdigest()
        by_tokens.setdefault(keys[digest], ids)
    results: dict[str, Outcome] = {}
    seconds = 0.0
    for batch in by_length(by_tokens, lambda key: len(by_tokens[key]), batch_size):
        clips = [by_tokens[key] for key in batch]
        scores, spent = each(lambda part: lm.score(part, batch_tokens=len(part) * max(map(len, part))), clips)
        seconds += spent
        reasoned = (f"no score: {score}" if isinstance(score, str) else likelihood(score) for score in scores)
        results.update(zip(batch, reasoned, strict=True))
    return outcomes | {digest: results[key] for digest, key in keys.items()}, seconds


def likelihood(scores: TokenScores) -> Outcome:
    """The sum over the audio vocabulary, in units of 2^-30 nats."""
    if not len(scores.audio_nll):
        return "no score: one token, and nothing before it to predict it from"
    if not np.isfinite(scores.audio_nll).all():
        return "no score: the model's log-likelihood is not finite"
    units = np.rint(np.asarray(scores.audio_nll, dtype=np.float64) * UNITS_PER_NAT).astype(np.int64)
    return Likelihood(-int(units.sum()) / UNITS_PER_NAT, len(units))


def each(
    work: Callable[[Sequence[_Item]], Sequence[_Result]], items: Sequence[_Item]
) -> tuple[list[_Result | str], float]:
    """A result or the reason of its failure for every item, and seconds of what succeeded.

    The items are worked on together; where that fails, one by one, so that one bad item costs only itself.
    """
    start = time.perf_counter()
    try:
        results = list(work(items))
        if len(results) != len(items):
            raise RuntimeError(f"{len(results)} results came for {len(items)} recordings")
    except FOREIGN_ERRORS as error:
        if len(items) == 1:
            return [described(error)], 0.0
    else:
        return [*results], time.perf_counter() - start
    singles = [each(work, [item]) for item in items]
    return [results[0] for results, _ in singles], sum(seconds for _, seconds in singles)


def _by_codec(models: Sequence[Model]) -> list[list[Model]]:
    groups: dict[str, list[Model]] = {}
    for model in models:
        groups.setdefault(model.tokenizer.identity, []).append(model)
    return list(groups.values())
