"""Words, characters and their errors, as the metrics of speech recognition count them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from eval.harness.score import Score

RULES = (
    "words are what is left of the text in lower case (NFKC) after every character but letters with the marks on them, "
    "digits and apostrophes inside a word is taken for a space; digits are not spelled out"
)
# What tables call RULES.
NORMALISER = "NFKC, lower case, no punctuation"
# Languages that write no spaces between words, so that a whole sentence would count as one.
UNSPACED = frozenset({"bo", "ja", "km", "lo", "my", "th", "yue", "zh"})

_APOSTROPHES = re.compile("''+")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text by RULES."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").lower()
    letters = "".join(character if _is_of_a_word(character) else " " for character in plain)
    words = (word.strip("'") for word in _APOSTROPHES.sub(" ", letters).split())
    # A mark without its letter, such as an emoji leaves behind, is no word.
    return tuple(word for word in words if any(character.isalnum() for character in word))


def characters_of(text: str) -> tuple[str, ...]:
    """The characters of a text's words by RULES, without the spaces between them."""
    return tuple("".join(words_of(text)))


def errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """The fewest substitutions, insertions and deletions that make `heard` of `said`."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1]


def error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> Score:
    """Errors over what was said, weighted by its number, so that a weighted mean is all errors over all that was
    said."""
    return Score(errors(reference, hypothesis) / len(reference), weight=float(len(reference)))


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or character == "'" or unicodedata.category(character).startswith("M")
