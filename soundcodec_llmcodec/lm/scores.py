"""How likely tokens are to a language model: what every model over tokens gives, neural or counted.

Letters: N tokens of a clip, V tokens of the audio vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

BOS, NONE = "bos", "none"


class CodecMismatchError(ValueError):
    """A language model of another codec's tokens than those it is to score or to continue."""


@dataclass(frozen=True, eq=False)
class TokenScores:
    """Negative log-likelihoods of a clip's scored tokens in nats, float64 (N,), or (N - 1,) without a prefix.

    `audio_nll` is over the audio vocabulary: the model's probabilities of all other tokens (text, begin, end) are left
    out and the rest sums to one, so that models compare whatever else they know. `full_nll` is over all that the model
    knows, which is never less.
    """

    audio_nll: np.ndarray
    full_nll: np.ndarray


class TokenLM(Protocol):
    """A language model over a codec's tokens.

    `prefix` says what stands before a clip: "bos", a token of its own, so that every token is scored; or "none", where
    the first token has no context and is not scored. `codec_hash` is that of the codec whose tokens it was trained on,
    None for one that was trained on nothing. `identity` changes with anything that can change a score.
    """

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def vocabulary_size(self) -> int:
        """V."""

    @property
    def full_size(self) -> int:
        """The number of all tokens it knows, V included."""

    @property
    def prefix(self) -> str:
        """ "bos" or "none"."""

    @property
    def codec_hash(self) -> str | None:
        """64 hex digits, or None."""

    @property
    def identity(self) -> str:
        """A hash over weights or counts."""

    def score(self, clips: Sequence[np.ndarray], *, batch_tokens: int = 4096) -> list[TokenScores]:
        """Scores of clips, each tokens int64 (N,) in [0, V), in order.

        Batches hold at most `batch_tokens` padded tokens, or one clip; scores do not depend on them. Raises ValueError
        for tokens out of range, for a clip without tokens, and for one longer than the model can read.
        """


def check_clips(clips: Sequence[np.ndarray], vocabulary_size: int) -> None:
    """Raise ValueError for a clip that is no whole numbers (N,), N >= 1, in [0, V)."""
    for index, clip in enumerate(clips):
        if clip.ndim != 1 or not clip.size or clip.dtype.kind not in "iu":
            raise ValueError(f"clip {index}: expected whole numbers (N,), N >= 1, got {clip.dtype} {clip.shape}")
        if not 0 <= clip.min() <= clip.max() < vocabulary_size:
            wrong = clip[(clip < 0) | (clip >= vocabulary_size)][0]
            raise ValueError(f"clip {index} holds the token {wrong}, which is not in [0, {vocabulary_size})")


class TrainedOn(Protocol):
    """What `check_codec` looks at: a language model, or what describes one."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def codec_hash(self) -> str | None:
        """That of the codec whose tokens it was trained on, None for any codec."""


def check_codec(lm: TrainedOn, codec_hash: str, codec_name: str) -> None:
    """Raise CodecMismatchError where the model was trained on the tokens of another codec."""
    if lm.codec_hash is not None and lm.codec_hash != codec_hash:
        raise CodecMismatchError(
            f"the language model {lm.name} was trained on tokens of codec {lm.codec_hash[:12]}, but these are of "
            f"{codec_hash[:12]} ({codec_name}); take the codec that it was trained with, or train one on these tokens "
            "(llmcodec lm train)"
        )
