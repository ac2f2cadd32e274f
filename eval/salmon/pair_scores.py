"""What is measured: the log-likelihoods of a pair's two recordings under a model, and a run's models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eval.harness.model_specs import Unloaded

# How a recording's tokens make one score.
PER_TOKEN, SUMMED = "token", "sum"
NORMALIZATIONS = (PER_TOKEN, SUMMED)


@dataclass(frozen=True)
class PairScore:
    """Log-likelihoods of a pair in nats, summed over the scored tokens of each recording and over the audio vocabulary;
    or the reason (`failure`) why there are none."""

    part: str
    pair_id: str
    positive: float | None
    negative: float | None
    positive_tokens: int
    negative_tokens: int
    positive_digest: str
    negative_digest: str
    failure: str | None = None

    def difference(self, normalize: str) -> float | None:
        """How much more likely the positive is, in nats, a token for PER_TOKEN; None where the pair has no scores."""
        if self.positive is None or self.negative is None:
            return None
        if normalize == SUMMED:
            return self.positive - self.negative
        return self.positive / self.positive_tokens - self.negative / self.negative_tokens

    def point(self, normalize: str) -> float | None:
        """1 where the positive is more likely, 0 where the negative is, 0.5 for a tie."""
        difference = self.difference(normalize)
        return None if difference is None else 0.5 + 0.5 * (difference > 0) - 0.5 * (difference < 0)

    def row(self) -> dict[str, Any]:
        """JSON-ready."""
        return dataclasses.asdict(self)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> PairScore:
        """The inverse of `row`."""
        return cls(**row)


@dataclass(frozen=True)
class ModelInfo:
    """What identifies a codec with a language model over its tokens; rates in tokens and bits a second."""

    name: str
    codec: str
    codec_hash: str
    lm: str
    lm_identity: str
    lm_prefix: str
    vocabulary_size: int
    token_rate: float
    bitrate_bps: float
    lm_parameters: int | None = None


@dataclass(frozen=True)
class SalmonModelRun:
    """A model's scores by part, in the suite's order, and what they took: seconds in the codec and in the LM."""

    info: ModelInfo
    scores: Mapping[str, list[PairScore]]
    encode_s: float = 0.0
    score_s: float = 0.0
    audio_s: float = 0.0
    timed_pairs: int = 0


@dataclass(frozen=True)
class SalmonRun:
    """All models on the same pairs; `fingerprint` is that of the pairs."""

    parts: tuple[str, ...]
    models: tuple[SalmonModelRun, ...]
    fingerprint: str
    unloaded: tuple[Unloaded, ...] = field(default=())
