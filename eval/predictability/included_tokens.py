"""Tokens that a codec of one's own, or of transformers, makes here of the clips of a data set; and token sets that have
been made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.harness import corpora
from eval.harness.checked_codec import IncludedCodec, included_codec
from eval.harness.hf_tokens import PREFIX as HF
from eval.harness.include import Included
from eval.harness.included_tokenizer import IncludedTokenizer
from eval.harness.model_specs import LoadError, labelled
from eval.predictability import token_sets
from eval.predictability.token_sets import MINI, PredictError, TokenSet, TokenSetSpec
from soundcodec_llmcodec.data.token_corpus import TokenClip, shard_name, write_shard, write_source


@dataclass(frozen=True)
class IncludedTokens:
    """A codec of one's own, and the data set whose clips it codes."""

    codec: Included
    dataset: str
    label: str
    lms: tuple[str, ...] = ()


def parse(text: str) -> TokenSetSpec | IncludedTokens:
    """[LABEL=]TRAIN,TEST[,LM_FOLDER...], or [LABEL=]CODEC[@DATASET] of a codec of one's own or of
    transformers (hf:ID). Raises PredictError, and
    UnknownSpecError for a file that has no such codec."""
    given, spec = labelled(text, ":/?@")
    if spec.startswith(HF):
        label, separator, rest = given or "", "=", spec
    else:
        label, separator, rest = text.partition("=")
    if not separator or Path(text.partition("@")[0].partition(".py:")[0] + ".py").exists():
        label, rest = "", text
    codec, _, dataset = rest.partition("@")
    entry = None if "," in rest else included_codec(codec)
    if entry is not None:
        return IncludedTokens(entry, dataset or corpora.MINI, label or entry.name)
    return TokenSetSpec.parse(text)


def read(spec: TokenSetSpec | IncludedTokens, limit: int | None = None) -> TokenSet:
    """The tokens of a spec, at most `limit` clips (of each split, where they are made here). Raises PredictError."""
    if isinstance(spec, TokenSetSpec):
        return token_sets.read(spec, limit)
    try:
        tokenizer = IncludedTokenizer(IncludedCodec(spec.codec))
    except LoadError as error:
        raise PredictError(str(error)) from error
    corpus = corpora.load(spec.dataset)
    clips = [clip for split in corpus.chosen(None) for clip in corpus.clips(split, limit) if clip.problem is None]
    tokens = [tokenizer.tokens([(clip.samples, clip.rate)])[0] for clip in clips]
    if len(tokens) < 2:
        raise PredictError(f"{corpus.label} has {len(tokens)} clips that can be read; counting needs two or more")
    return TokenSet(
        label=spec.label,
        source=tokenizer.source,
        test_label=MINI if corpus.synthetic else corpus.label,
        train_label=None,
        clip_ids=tuple(f"{clip.split}/{clip.clip_id}" for clip in clips),
        clips=tokens,
        seconds=np.array([clip.seconds for clip in clips]),
        train=None,
    )


def write_corpus(folder: Path, split: str, tokens: TokenSet) -> None:
    """Write the tokens as a split of a token corpus, which language models are counted and trained on.

    Raises TokenCorpusError where the folder holds another codec's.
    """
    source = tokens.source
    write_source(folder, source)
    clips = [
        # A corpus holds codes of each level from 0 on, as token_ids takes them.
        TokenClip(clip_id, (ids % source.codebook_size).astype(np.int32), round(seconds * source.sample_rate))
        for clip_id, ids, seconds in zip(tokens.clip_ids, tokens.clips, tokens.seconds.tolist(), strict=True)
    ]
    write_shard(folder, shard_name(split, 0, 1), clips)
