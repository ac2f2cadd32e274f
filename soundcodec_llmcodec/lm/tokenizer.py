"""Tokenizers with "<CODEC_0>", "<CODEC_1>", ... as tokens.

The codes are added tokens, neither special (decoding keeps them) nor normalized (text around them is split as before),
given in one call: that is fast in every direction. Putting them into the vocabulary of the tokenizer's model would need
merges and another way to split text, and so change how text is tokenized.
"""

from __future__ import annotations

import copy
from typing import Any

from soundcodec_llmcodec.lm.packages import lm_package
from soundcodec_llmcodec.token_ids import token_text
from soundcodec_llmcodec.vocabulary import TokenSpec


def extend_tokenizer(tokenizer: Any, codebook_size: int) -> tuple[Any, TokenSpec]:
    """A copy of a tokenizer with a token for each code, and where they stand; one that has them is not copied.

    Raises ValueError for a tokenizer that has some of the tokens, more of them, or not in a row.
    """
    tokens = TokenSpec(0, codebook_size).names()
    if tokens[0] not in tokenizer.get_vocab():
        lm_package("tokenizers", "extending a tokenizer")
        from tokenizers import AddedToken

        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in tokens])
    spec = token_spec(tokenizer)
    if spec.codebook_size != codebook_size:
        raise ValueError(f"the tokenizer has {spec.codebook_size} <CODEC_i> tokens, expected {codebook_size}")
    return tokenizer, spec


def token_spec(tokenizer: Any) -> TokenSpec:
    """Where the codes stand in a tokenizer that has them.

    Raises ValueError where there are none, where their ids are not in a row, or where text does not become them.
    """
    vocabulary = tokenizer.get_vocab()
    first = vocabulary.get(token_text([0]))
    if first is None:
        raise ValueError("the tokenizer has no <CODEC_0>; extend it with extend_tokenizer or extend_lm")
    size = sum(token.startswith("<CODEC_") for token in vocabulary)
    spec = TokenSpec(first, size)
    for code, token in enumerate(spec.names()):
        if vocabulary.get(token) != first + code:
            raise ValueError(f"expected {token} to be id {first + code}, got {vocabulary.get(token)}")
    ends = [0, size - 1]
    ids = tokenizer(token_text(ends), add_special_tokens=False)["input_ids"]
    if ids != spec.ids(ends):
        raise ValueError(f"the tokenizer makes {ids} of {token_text(ends)!r}, expected {spec.ids(ends)}")
    return spec
