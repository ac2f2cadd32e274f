"""A run: every model over every codec's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.predict import models
from eval.predict.measure import Measured, measured
from eval.predict.models import Counts, How
from eval.predict.tokens import PredictError, Tokens
from soundcodec_llmcodec.lm.folder import TokenLMError
from soundcodec_llmcodec.lm.scores import CodecMismatchError


@dataclass(frozen=True)
class LeftOut:
    """A model that was not measured on a codec's tokens, and why."""

    codec: str
    model: str
    reason: str


@dataclass(frozen=True, eq=False)
class Run:
    """The figures, codec by codec, and what could not be had."""

    tokens: list[Tokens]
    rows: list[Measured]
    left_out: list[LeftOut]


def run(all_tokens: Sequence[Tokens], names: Sequence[str] | None, own: Sequence[Sequence[str]], how: How) -> Run:
    """Measure models by `names` (None: the default ones) on every codec's tokens, and `own[i]` on the i-th's only.

    A model of another codec's tokens is an error where it can only be a mistake: with one codec, or as a codec's own.
    With several it is left out where it does not fit. Raises PredictError for codecs of one label, and what
    `models.scored` raises.
    """
    labels = [tokens.label for tokens in all_tokens]
    if len(set(labels)) < len(labels):
        raise PredictError(f"codecs are told apart by their labels, got {labels}; give one another by LABEL=...")
    rows: list[Measured] = []
    left_out: list[LeftOut] = []
    for tokens, alone in zip(all_tokens, own, strict=True):
        shared = models.default_names(tokens) if names is None else names
        wanted = list(dict.fromkeys([*shared, *alone]))
        counts = Counts(tokens, models.highest_order(wanted))
        unigram = counts.scored(1)
        for name in wanted:
            try:
                rows.append(measured(models.scored(name, tokens, counts, how), unigram, tokens))
            except CodecMismatchError as error:
                if len(all_tokens) == 1 or name in alone:
                    raise
                left_out.append(LeftOut(tokens.label, name, _line(error)))
            except (TokenLMError, ImportError) as error:
                left_out.append(LeftOut(tokens.label, name, _line(error)))
    if not rows:
        raise PredictError(f"no model could be had; {'; '.join(f'{one.model}: {one.reason}' for one in left_out)}")
    return Run(list(all_tokens), rows, left_out)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
