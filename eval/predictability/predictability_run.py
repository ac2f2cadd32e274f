"""A run: every model over every codec's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.predictability import predictors
from eval.predictability.estimates import PredictabilityEstimates, measured
from eval.predictability.predictors import Counts, How
from eval.predictability.token_sets import PredictError, TokenSet
from soundcodec_llmcodec.lm.lm_folder import TokenLMError
from soundcodec_llmcodec.lm.scores import CodecMismatchError


@dataclass(frozen=True)
class LeftOut:
    """A model that was not measured on a codec's tokens, and why."""

    codec: str
    model: str
    reason: str


@dataclass(frozen=True, eq=False)
class PredictabilityRun:
    """The figures, codec by codec, and what could not be had."""

    tokens: list[TokenSet]
    rows: list[PredictabilityEstimates]
    left_out: list[LeftOut]


def run(
    all_tokens: Sequence[TokenSet], names: Sequence[str] | None, own: Sequence[Sequence[str]], how: How
) -> PredictabilityRun:
    """Measure models by `names` (None: the default ones) on every codec's tokens, and `own[i]` on the i-th's only.

    A model of another codec's tokens is an error where it can only be a mistake: with one codec, or as a codec's own.
    With several it is left out where it does not fit. Raises PredictError for codecs of one label, and what
    `models.scored` raises.
    """
    labels = [tokens.label for tokens in all_tokens]
    if len(set(labels)) < len(labels):
        raise PredictError(f"codecs are told apart by their labels, got {labels}; give one another by LABEL=...")
    rows: list[PredictabilityEstimates] = []
    left_out: list[LeftOut] = []
    for tokens, alone in zip(all_tokens, own, strict=True):
        shared = predictors.default_names(tokens) if names is None else names
        all_names = list(dict.fromkeys([*shared, *alone]))
        counts = Counts(tokens, predictors.highest_order(all_names))
        unigram = counts.scored(1)
        for name in all_names:
            try:
                rows.append(measured(predictors.scored(name, tokens, counts, how), unigram, tokens))
            except CodecMismatchError as error:
                if len(all_tokens) == 1 or name in alone:
                    raise
                left_out.append(LeftOut(tokens.label, name, _line(error)))
            except (TokenLMError, ImportError) as error:
                left_out.append(LeftOut(tokens.label, name, _line(error)))
    if not rows:
        raise PredictError(
            f"no model could be had; {'; '.join(f'{model.model}: {model.reason}' for model in left_out)}"
        )
    return PredictabilityRun(list(all_tokens), rows, left_out)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
