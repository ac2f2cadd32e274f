"""Text as characters in a language model's vocabulary, for models that speak it.

Letters: C characters of a text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

KIND = "characters"
_SPELLED = str.maketrans({"’": "'", "‘": "'", "´": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-"})


class TextError(ValueError):
    """A text that a language model cannot speak, with what it lacks."""


def normalised(text: str) -> str:
    """A text as models read it: NFKC, lower case, plain quotes and dashes, one space for any white space."""
    plain = unicodedata.normalize("NFKC", text).translate(_SPELLED).lower()
    return " ".join(plain.split())


def characters_of_texts(texts: Iterable[str]) -> str:
    """The characters of texts once normalised, each once, in order."""
    return "".join(sorted({character for text in texts for character in normalised(text)}))


@dataclass(frozen=True)
class EncodedText:
    """A text as ids int64 (C,), and the signs that were left out because the model does not know them."""

    ids: np.ndarray
    dropped: str


@dataclass(frozen=True)
class Characters:
    """The characters that a model knows, each once: character i is the id `first_id` + i."""

    characters: str
    first_id: int

    def __post_init__(self) -> None:
        if not self.characters or len(set(self.characters)) != len(self.characters) or self.first_id < 0:
            raise ValueError(f"expected characters, each once, and first_id >= 0, got {self}")

    @property
    def end_id(self) -> int:
        """One more than the last character's id."""
        return self.first_id + len(self.characters)

    def encoded(self, text: str) -> EncodedText:
        """A text as ids.

        Signs that the model does not know are left out, an apostrophe as if it were not there and others as a space;
        they are named in `dropped`. Raises TextError for unknown letters and digits, without which a word would be
        another, and where nothing is left.
        """
        plain = normalised(text)
        unknown = sorted(set(plain) - set(self.characters))
        letters = [character for character in unknown if _is_of_a_word(character)]
        if letters:
            raise TextError(
                f"the language model has no {', '.join(map(repr, letters))}, which is in {text!r}; it knows "
                f"{self.characters!r}: write the word in these (numbers in words)"
            )
        gaps: dict[str, str | int | None] = {character: "" if character == "'" else " " for character in unknown}
        kept = " ".join(plain.translate(str.maketrans(gaps)).split())
        if not kept:
            raise TextError(f"expected a text to speak, got {text!r}")
        places = {character: index for index, character in enumerate(self.characters)}
        # A model that saw no spaces is given none.
        ids = [self.first_id + places[character] for character in kept if character in places]
        return EncodedText(np.array(ids, dtype=np.int64), "".join(unknown).strip())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": KIND, "characters": self.characters, "first_id": self.first_id}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Characters:
        """The inverse of `to_dict`. Raises ValueError for missing, unknown or wrong fields."""
        right = set(fields) == {"kind", "characters", "first_id"} and fields["kind"] == KIND
        if not right or not isinstance(fields["characters"], str) or type(fields["first_id"]) is not int:
            raise ValueError(f"expected text of the kind {KIND!r} with characters and first_id, got {dict(fields)}")
        return cls(fields["characters"], fields["first_id"])


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")
