"""The commands of `llmcodec lm` that need no model: count and tokenizer."""

from __future__ import annotations

import argparse

import numpy as np

from soundcodec_llmcodec.data.token_corpus import TokenCorpus
from soundcodec_llmcodec.lm import lm_folder as folders
from soundcodec_llmcodec.lm.counted import NGRAM_NAMES, NgramLM
from soundcodec_llmcodec.lm.scores import CodecMismatchError


def count(arguments: argparse.Namespace) -> int:
    """`llmcodec lm count`: returns the exit status. Raises CodecMismatchError for corpora of several codecs."""
    folders.check_target(arguments.output, folders.NGRAM)
    corpora = [TokenCorpus.open(place) for place in arguments.tokens]
    source = corpora[0].source
    for corpus in corpora[1:]:
        if corpus.source.codec_hash != source.codec_hash:
            raise CodecMismatchError(
                f"{corpus.label} holds tokens of codec {corpus.source.codec_hash[:12]} ({corpus.source.codec_name}), "
                f"but {corpora[0].label} of {source.codec_hash[:12]} ({source.codec_name}); count each by itself"
            )
    clips = [clip for corpus in corpora for clip in corpus.ids()]
    lm = NgramLM.count(clips, source, arguments.order)
    lm.save(arguments.output)
    seen = [len(np.flatnonzero(lm.ngrams.unigrams)), *(len(events.keys) for events in lm.ngrams.longer)]
    kinds = ", ".join(f"{n:,} {name}s" for name, n in zip(NGRAM_NAMES, seen, strict=False))
    print(f"{arguments.output}: {lm.name} of {sum(map(len, clips)):,} tokens in {len(clips):,} clips: {kinds}")
    return 0


def tokenizer(arguments: argparse.Namespace) -> int:
    """`llmcodec lm tokenizer`: returns the exit status."""
    from soundcodec_llmcodec.lm.codes_tokenizer import add_tokenizer

    spec = add_tokenizer(arguments.folder)
    print(f"{arguments.folder}: <CODEC_0> to <CODEC_{spec.codebook_size - 1}> are the ids from {spec.first_id} on")
    return 0
