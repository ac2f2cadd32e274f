"""What each language model gives the tokens: counted ones by name, trained ones by folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.predictability.token_sets import PredictError, TokenSet
from soundcodec_llmcodec.lm.choices import BUNDLED_NAME
from soundcodec_llmcodec.lm.counted import NGRAM_NAMES, UNIFORM, NgramLM
from soundcodec_llmcodec.lm.loading import BUNDLED, load_token_lm
from soundcodec_llmcodec.lm.score_summary import score_all
from soundcodec_llmcodec.lm.scores import TokenLM, TokenScores

COUNTED = (UNIFORM, *NGRAM_NAMES)
FOLDS = 2


@dataclass(frozen=True, eq=False)
class Scored:
    """A model's scores of every clip, in order. `identity` is None where two models scored a half each."""

    name: str
    identity: str | None
    prefix: str
    full_size: int
    parameters: int | None
    scores: list[TokenScores]


@dataclass(frozen=True)
class How:
    """Where and how models run."""

    device: str = "cpu"
    dtype: str = "float32"
    batch_tokens: int = 4096
    progress: bool = False


class Counts:
    """The counted models of a codec's tokens, counted once for all orders."""

    def __init__(self, tokens: TokenSet, order: int) -> None:
        """Count up to an order of 1 to 3."""
        self._tokens = tokens
        counted = (
            [tokens.train]
            if tokens.train is not None
            else [[clip for i, clip in enumerate(tokens.clips) if i % FOLDS != fold] for fold in range(FOLDS)]
        )
        self._models = [NgramLM.count(clips, tokens.source, order) for clips in counted]

    def scored(self, order: int) -> Scored:
        """The scores by the model of an order; of every second clip by the other half's counts without a train set."""
        models = [model.up_to(order) for model in self._models]
        scores: list[TokenScores | None] = [None] * len(self._tokens.clips)
        for fold, model in enumerate(models):
            places = range(fold, len(scores), len(models))
            scores[fold :: len(models)] = model.score([self._tokens.clips[place] for place in places])
        identity = models[0].identity if len(models) == 1 else None
        whole = [clip_scores for clip_scores in scores if clip_scores is not None]
        return Scored(models[0].name, identity, models[0].prefix, models[0].full_size, None, whole)


def default_names(tokens: TokenSet) -> tuple[str, ...]:
    """Every counted model, and the bundled one where it is of this codec."""
    from soundcodec_llmcodec.lm import lm_folder

    is_there = (BUNDLED / lm_folder.FILE).is_file()
    of_this = is_there and lm_folder.describe(BUNDLED).source.codec_hash == tokens.source.codec_hash
    return (*COUNTED, BUNDLED_NAME) if of_this else COUNTED


def scored(name: str, tokens: TokenSet, counts: Counts, how: How) -> Scored:
    """A model's scores. Raises TokenLMError, CodecMismatchError or ImportError for one that cannot be had, and
    PredictError for one that cannot read these clips."""
    if name in NGRAM_NAMES:
        return counts.scored(NGRAM_NAMES.index(name) + 1)
    lm: TokenLM = load_token_lm(name, tokens.source, how.device, how.dtype)
    if lm.vocabulary_size != tokens.source.vocabulary_size:
        raise PredictError(f"{name} knows {lm.vocabulary_size} codes, the codec has {tokens.source.vocabulary_size}")
    scores = score_all(lm, tokens.clips, batch_tokens=how.batch_tokens, progress=how.progress)
    parameters = getattr(lm, "parameters", None)
    return Scored(_label(name, lm), lm.identity, lm.prefix, lm.full_size, parameters, scores)


def highest_order(names: Sequence[str]) -> int:
    """The order that has to be counted for these models; the unigram is always there to compare with."""
    return max([1, *(NGRAM_NAMES.index(name) + 1 for name in names if name in NGRAM_NAMES)])


def _label(name: str, lm: TokenLM) -> str:
    return name if name in (BUNDLED_NAME, UNIFORM) else f"{lm.name} ({name})" if lm.name != name else name
