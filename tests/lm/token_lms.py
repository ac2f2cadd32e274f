"""A codec's facts and tiny language models over its tokens."""

from __future__ import annotations

import numpy as np
from tiny_lms import make_model

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.vocabulary import TokenSpec

SIZE, FIRST, BOS, EOS = 50, 5, 2, 3
ROWS = FIRST + SIZE + 7


def make_source(size: int = SIZE, digit: str = "a", levels: int = 1) -> TokenSource:
    """A codec of `size` codes a level, its hash made of one digit."""
    return TokenSource("toy", digit * 64, 16_000, 320, size, levels)


def make_lm(kind: str = "qwen3_tied", bos: int | None = BOS, source: TokenSource | None = None) -> NeuralTokenLM:
    """Rows before, of and after the codes; random weights."""
    source = source or make_source()
    size = source.vocabulary_size
    model = make_model(kind, ROWS - SIZE + size)
    return NeuralTokenLM(model, TokenSpec(FIRST, size), source, bos_id=bos, eos_id=EOS, name="tiny")


def make_clips(*lengths: int, size: int = SIZE, seed: int = 0) -> list[np.ndarray]:
    """Random clips of these lengths."""
    generator = np.random.default_rng(seed)
    return [generator.integers(0, size, n) for n in lengths]
