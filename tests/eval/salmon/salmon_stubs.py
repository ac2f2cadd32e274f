"""Recordings whose tokens are known, a codec that reads them, and language models that can be reckoned by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from eval.salmon.pair_scores import ModelInfo, SalmonRun
from eval.salmon.salmon_models import Model
from eval.salmon.salmon_run import SalmonPlan
from eval.salmon.suite import Pair, PairedRecording, Suite
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.scores import TokenScores

V = 16
RATE, HOP = 16_000, 320
SOURCE = TokenSource("stub", "ab" * 32, RATE, HOP, V)
PART = "speaker_consistency"


def recording(tokens: Iterable[int], name: str = "") -> PairedRecording:
    """A frame of equal samples for each token; recordings of one name and tokens are one audio."""
    samples = np.repeat(np.array(list(tokens), dtype=np.float32) / V, HOP)
    return PairedRecording(samples, RATE, hashlib.sha256(samples.tobytes() + name.encode()).hexdigest())


class StubCodec:
    """Tokens as `recording` wrote them; it cannot read a recording with a sample of -1."""

    source = SOURCE

    def __init__(self, change: Callable[[np.ndarray], np.ndarray] = lambda ids: ids, identity: str = "stub") -> None:
        self.identity = identity
        self.change = change
        self.batches: list[int] = []

    def tokens(self, recordings: Sequence[tuple[np.ndarray, int]]) -> list[np.ndarray]:
        self.batches.append(len(recordings))
        if any((samples < 0).any() for samples, _ in recordings):
            raise ValueError("it holds a negative sample\nand a second line")
        return [self.change(np.rint(samples[::HOP] * V).astype(np.int64)) for samples, _ in recordings]


def shuffled(ids: np.ndarray) -> np.ndarray:
    """The same tokens in another order, which follows from them."""
    return np.random.default_rng(ids).permutation(ids)


class StubLM:
    """A language model by a function from a clip's tokens to their negative log-likelihoods."""

    name, vocabulary_size, full_size, prefix = "stub-lm", V, V, "bos"
    codec_hash, identity = SOURCE.codec_hash, "1" * 64

    def __init__(self, nll: Callable[[np.ndarray], np.ndarray]) -> None:
        self.nll = nll
        self.batches: list[int] = []

    def score(self, clips: Sequence[np.ndarray], *, batch_tokens: int = 4096) -> list[TokenScores]:
        self.batches.append(len(clips))
        return [TokenScores(found, found) for found in map(self.nll, clips)]


def uniform() -> StubLM:
    return StubLM(lambda ids: np.full(len(ids), np.log(V)))


def bigram(log_p: np.ndarray) -> StubLM:
    """By a table (V, V) of log-probabilities of the next token; the first one is anybody's guess."""
    return StubLM(lambda ids: np.concatenate([[np.log(V)], -log_p[ids[:-1], ids[1:]]]))


def counting() -> StubLM:
    """A token is followed by the next number nine times in ten."""
    log_p = np.full((V, V), np.log(0.1 / (V - 1)))
    log_p[np.arange(V), (np.arange(V) + 1) % V] = np.log(0.9)
    return bigram(log_p)


def oracle(truths: Sequence[np.ndarray]) -> StubLM:
    """It is given the true next token as long as a clip goes as one of the truths does, and guesses from there on."""

    def nll(ids: np.ndarray) -> np.ndarray:
        agreed = max(int(np.logical_and.accumulate(ids == truth[: len(ids)]).sum()) for truth in truths)
        return np.where(np.arange(len(ids)) < agreed, -np.log(0.99), np.log(V))

    return StubLM(nll)


def model(lm: StubLM, codec: StubCodec | None = None, name: str = "m") -> Model:
    info = ModelInfo(name, "stub", SOURCE.codec_hash, lm.name, lm.identity, lm.prefix, V, 50.0, 200.0)
    return Model(info, codec or StubCodec(), lm)


def suite(pairs: Mapping[str, Sequence[Pair]] | Sequence[Pair]) -> Suite:
    by_part = pairs if isinstance(pairs, Mapping) else {PART: pairs}
    sizes = {part: len(found) for part, found in by_part.items()}
    return Suite("stub", "stub", True, sizes, lambda part: iter(by_part[part]))


def plan(
    models: Sequence[Model], pairs: Mapping[str, Sequence[Pair]] | Sequence[Pair], **options: object
) -> SalmonPlan:
    found = suite(pairs)
    return SalmonPlan(models, found, found.parts, **{"batch_size": 4, **options})


def runs_on(pairs: int, seed: int, frames: tuple[int, int] = (12, 30)) -> list[Pair]:
    """Counting clips, and the same tokens with the second half in another order."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(pairs):
        length = int(rng.integers(*frames))
        positive = (np.arange(length) + rng.integers(V)) % V
        negative = np.concatenate([positive[: length // 2], rng.permutation(positive[length // 2 :])])
        made.append(Pair(PART, str(index), recording(positive, f"{index}+"), recording(negative, f"{index}-")))
    return made


def points(run: SalmonRun, name: str = "m", normalize: str = "token") -> list[float | None]:
    one = next(found for found in run.models if found.info.name == name)
    return [score.point(normalize) for scores in one.scores.values() for score in scores]


def accuracy(run: SalmonRun, name: str = "m", normalize: str = "token") -> float:
    return float(np.mean([point for point in points(run, name, normalize) if point is not None]))
