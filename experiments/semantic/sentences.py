"""Short sentences for a corpus of spoken text, from the texts of data sets and from text files.

Sentences of one text (a transcript, a file's line) are in one split, and no held-out sentence is also trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soundcodec_llmcodec.data import open_dataset
from soundcodec_llmcodec.lm.characters import normalised

_ENDS = re.compile(r"[.?!,;:()\"]+|\s-+\s")
_LINE = re.compile(r"[a-z]+('[a-z]+)*")


@dataclass(frozen=True)
class SentencePlan:
    """Which sentences: of `fewest` to `most` words; `passes` cut the same texts at other words, for more of them."""

    fewest: int = 3
    most: int = 9
    passes: int = 1
    validation: int = 100
    test: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most or self.passes < 1 or min(self.validation, self.test) < 0:
            raise ValueError(f"expected 1 <= fewest <= most, passes >= 1 and splits of 0 or more, got {self}")


def texts_of(places: Iterable[str], sources: Sequence[str] = ()) -> Iterator[str]:
    """The English texts of data sets ("PLACE:SPLIT") and the lines of text files (.txt), in order.

    `sources` keeps the rows of these sources alone, where the data set names one.
    """
    for place in places:
        if place.endswith(".txt"):
            yield from Path(place).read_text(encoding="utf-8").splitlines()
            continue
        for row in open_dataset(place).rows():
            source = row.field("source")
            if row.text and row.field("lang") in (None, "en") and (not sources or source in sources):
                yield row.text


def sentences(texts: Iterable[str], plan: SentencePlan) -> Mapping[str, list[str]]:
    """Sentences by split: train, validation, test. Each occurs once, in a seeded order.

    Words are of the letters a to z with apostrophes inside; a phrase with anything else (numbers) is left out. Raises
    ValueError where the texts are too few.
    """
    unique = list(dict.fromkeys(normalised(text) for text in texts))
    order = np.random.default_rng(plan.seed).permutation(len(unique))
    shuffled = [unique[index] for index in order]
    splits: dict[str, list[str]] = {}
    taken: set[str] = set()
    place = 0
    for name, count in (("test", plan.test), ("validation", plan.validation)):
        splits[name] = []
        while len(splits[name]) < count and place < len(shuffled):
            # One sentence of a text, so that held-out sentences are of many texts.
            new = [phrase for phrase in _phrases(shuffled[place], plan, 0) if phrase not in taken][:1]
            splits[name] += new
            taken.update(new)
            place += 1
    train: dict[str, None] = {}
    for number in range(plan.passes):
        for text in shuffled[place:]:
            train.update(dict.fromkeys(_phrases(text, plan, number)))
    held_out = [f" {phrase} " for phrase in taken]
    splits["train"] = [phrase for phrase in train if not any(held in f" {phrase} " for held in held_out)]
    if not splits["train"] or min(len(splits["test"]) - plan.test, len(splits["validation"]) - plan.validation) < 0:
        counts = {name: len(part) for name, part in splits.items()}
        raise ValueError(f"the texts are too few for {plan}: they gave {counts}; name more --texts")
    return {name: splits[name] for name in ("train", "validation", "test")}


def _phrases(text: str, plan: SentencePlan, number: int) -> Iterator[str]:
    """Phrases of a text in their order: between signs, and of at most so many words; pass `number` cuts elsewhere."""
    for part in _ENDS.split(text):
        words = part.split()
        if not words or not all(_LINE.fullmatch(word) for word in words):
            continue
        # A pass begins further in, so that its phrases are others; the words before that are one more phrase.
        start = number * plan.most // plan.passes
        ends = [*([start] if start else []), *range(start + plan.most, len(words) + plan.most, plan.most)]
        at = 0
        for end in ends:
            if plan.fewest <= len(words[at:end]):
                yield " ".join(words[at:end])
            at = end
