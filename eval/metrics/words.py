"""Words and word errors, as the metrics of speech recognition count them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from eval.metrics.base import Score

RULES = (
    "words are what is left of the text in lower case (NFKC) after every character but letters, digits and "
    "apostrophes inside a word is taken for a space; digits are not spelled out"
)

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text by RULES."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").lower()
    return tuple(_WORD.findall(plain))


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest substitutions, insertions and deletions that make `heard` of `said`."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1]


def error_rate(said: Sequence[str], heard: Sequence[str]) -> Score:
    """Errors over words said, weighted by the words said, so that a weighted mean is all errors over all words."""
    return Score(errors(said, heard) / len(said), weight=float(len(said)))
