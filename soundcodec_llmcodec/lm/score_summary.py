"""What scores of many clips come to: bits a token, and a second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from soundcodec_llmcodec.lm.scores import TokenLM, TokenScores

_CLIPS_AT_ONCE = 256


@dataclass(frozen=True)
class ScoreSummary:
    """Mean negative log-likelihoods of `tokens` scored tokens in `clips` clips, in bits a token: over the audio
    vocabulary, and over all that the model knows."""

    clips: int
    tokens: int
    audio_bits: float
    full_bits: float

    @classmethod
    def of(cls, scores: Sequence[TokenScores]) -> ScoreSummary:
        """Every token counts the same, whatever its clip. Raises ValueError where none was scored."""
        tokens = sum(len(clip.audio_nll) for clip in scores)
        if not tokens:
            raise ValueError(
                "no token was scored: without a prefix, a clip's first token is not, and there is no other"
            )
        nats = [sum(float(part.sum()) for part in parts) for parts in _columns(scores)]
        return cls(len(scores), tokens, *(total / tokens / math.log(2) for total in nats))

    @property
    def audio_perplexity(self) -> float:
        """2 to the bits over the audio vocabulary."""
        return 2.0**self.audio_bits

    @property
    def full_perplexity(self) -> float:
        """2 to the bits over all that the model knows."""
        return 2.0**self.full_bits


def score_all(
    lm: TokenLM, clips: Sequence[np.ndarray], *, batch_tokens: int = 4096, progress: bool = False
) -> list[TokenScores]:
    """`lm.score` of clips of tokens int64 (N,), the longest first, with a progress bar where it is asked for."""
    order = sorted(range(len(clips)), key=lambda index: len(clips[index]), reverse=True)
    by_place: dict[int, TokenScores] = {}
    with tqdm(total=len(clips), unit="clip", desc=lm.name, disable=not progress) as bar:
        for start in range(0, len(order), _CLIPS_AT_ONCE):
            part = order[start : start + _CLIPS_AT_ONCE]
            scores = lm.score([clips[index] for index in part], batch_tokens=batch_tokens)
            by_place |= dict(zip(part, scores, strict=True))
            bar.update(len(part))
    return [by_place[index] for index in range(len(clips))]


def _columns(scores: Sequence[TokenScores]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [clip.audio_nll for clip in scores], [clip.full_nll for clip in scores]
