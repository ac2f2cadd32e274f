"""Makes the parts of a suite out of speech, sounds and rooms."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eval.salmon.build import recognised_words, voice_pairs, word_cuts
from eval.salmon.build import rooms as room_library
from eval.salmon.build.background_pairs import OTHERS, background_pair
from eval.salmon.build.built_pairs import RATE, BuiltPair
from eval.salmon.build.material import Sound, Utterance
from eval.salmon.build.recipe import ALIGNMENT, ROOM, Recipe
from eval.salmon.build.room_pairs import room_pair
from eval.salmon.build.splicing import levels, quietest, spoken


class PartError(ValueError):
    """A part that this material does not give, and why."""


@dataclass
class Builder:
    """The material of a suite and what was found out about it; `dropped` counts what was left out, by reason."""

    speech: Sequence[Utterance]
    sounds: Sequence[Sound]
    recipe: Recipe
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    _cuts: dict[int, voice_pairs.Cut | None] = field(default_factory=dict)

    def pairs(self, part: str) -> Iterator[BuiltPair]:
        """The part's pairs, at most the recipe's number. Raises PartError where there is none to make."""
        makers: dict[str, Callable[[], Iterator[BuiltPair]]] = {
            name: functools.partial(self._voices, name) for name in voice_pairs.NEGATIVES
        }
        makers |= {name: functools.partial(self._backgrounds, name) for name in OTHERS}
        makers[ROOM] = self._rooms
        if part not in makers:
            raise PartError(f"{part} cannot be built: {ALIGNMENT.get(part, f'the parts are {list(makers)}')}")
        count = 0
        for pair in makers[part]():
            yield pair
            count += 1
            if count == self.recipe.pairs:
                return
        if not count:
            raise PartError(f"{part}: no pair could be made; left out: {self.dropped.get(part, {})}")

    def check(self, part: str) -> None:
        """Raise PartError, before any work, where the material cannot give the part."""
        if part in ALIGNMENT:
            raise PartError(f"{part} cannot be built: {ALIGNMENT[part]}")
        if part in voice_pairs.NEGATIVES and not voice_pairs.groups(part, self.speech):
            needed = voice_pairs.NEGATIVES[part][0]
            raise PartError(
                f"{part}: no two recordings fit; it needs one text said in several ways, and {list(needed)}"
            )
        if part in OTHERS:
            fits = OTHERS[part]
            if not any(fits(sound, other) for sound in self.sounds for other in self.sounds):
                raise PartError(f"{part}: no two sounds fit; it needs sounds of several recordings with their kind")
        if part not in voice_pairs.NEGATIVES and not self._long_enough:
            shortest = self.recipe.shortest_s
            raise PartError(f"{part}: no recording of speech of {shortest:g} s or more with little noise of its own")

    # -- the parts -----------------------------------------------------------------------------------------------------
    def _voices(self, part: str) -> Iterator[BuiltPair]:
        draw = self._draw(part)
        groups = voice_pairs.groups(part, self.speech)
        chosen: list[voice_pairs.Choice] = []
        for k in draw.permutation(len(groups)):
            if len(chosen) >= 2 * self.recipe.pairs:
                break  # each recording is aligned by the recogniser, which takes its time
            cuts = [cut for utterance in groups[k] if (cut := self._cut(part, utterance)) is not None]
            chosen += voice_pairs.choices(part, cuts, draw) if len(cuts) > 1 else []
        for k in draw.permutation(len(chosen)):
            pair = voice_pairs.voice_pair(part, chosen[k])
            text = pair.about["text"]
            if self.recipe.check_words and any(
                word_cuts.misheard(samples, text) for samples in (pair.positive, pair.negative)
            ):
                self._drop(part, "the recogniser hears other words")
                continue
            yield pair

    def _rooms(self) -> Iterator[BuiltPair]:
        library = self._library
        for speech, draw in self._drawn(ROOM):
            try:
                yield room_pair(speech, library, draw)
            except ValueError as error:
                self._drop(ROOM, str(error))

    def _backgrounds(self, part: str) -> Iterator[BuiltPair]:
        for speech, draw in self._drawn(part):
            try:
                yield background_pair(part, speech, self.sounds, draw)
            except ValueError as error:
                self._drop(part, str(error))

    # -- the material --------------------------------------------------------------------------------------------------
    def _cut(self, part: str, utterance: Utterance) -> voice_pairs.Cut | None:
        """The utterance with its cut, found once; None where it cannot be cut."""
        if id(utterance) not in self._cuts:
            try:
                self._cuts[id(utterance)] = voice_pairs.Cut.of(utterance, word_cuts.cut_of(utterance))
            except word_cuts.CutError:
                self._cuts[id(utterance)] = None
        if self._cuts[id(utterance)] is None:
            self._drop(part, "its words could not be found")
        return self._cuts[id(utterance)]

    def _drawn(self, part: str) -> Iterator[tuple[Utterance, np.random.Generator]]:
        """Every usable recording once, in random order, with a generator of its own."""
        usable = self._long_enough
        for index, k in enumerate(self._draw(part).permutation(len(usable))):
            yield usable[k], self._draw(part, index + 1)

    def _draw(self, part: str, index: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.recipe.seed, zlib.crc32(part.encode()), index])

    @functools.cached_property
    def _long_enough(self) -> list[Utterance]:
        ready = (shortened(utterance, self.recipe.longest_s) for utterance in self.speech)
        return [
            utterance
            for utterance in ready
            if len(utterance.samples) >= self.recipe.shortest_s * RATE
            and level_range(utterance.samples) >= self.recipe.least_range_db
        ]

    @functools.cached_property
    def _library(self) -> list[room_library.Room]:
        if self.recipe.room_folder is not None:
            return room_library.read(self.recipe.room_folder)
        return room_library.simulated(self.recipe.rooms, self.recipe.seed)

    def _drop(self, part: str, reason: str) -> None:
        reasons = self.dropped.setdefault(part, {})
        reasons[reason] = reasons.get(reason, 0) + 1


def shortened(utterance: Utterance, longest_s: float) -> Utterance:
    """What is spoken in the utterance, cut in the quietest place of the last quarter before `longest_s`; the text of a
    cut one is not known."""
    start, end = spoken(utterance.samples, RATE)
    samples = utterance.samples[start:end]
    if len(samples) <= longest_s * RATE:
        return replace(utterance, samples=samples, words=None)
    stop = quietest(samples, RATE, 0.75 * longest_s, longest_s)
    return replace(utterance, samples=samples[:stop], text=None, words=None)


def level_range(samples: np.ndarray) -> float:
    """From the 10th to the 95th percentile of the level of samples (S,), in dB."""
    low, high = np.percentile(levels(samples, RATE), [10, 95])
    return float(high - low)


def require_packages(parts: Sequence[str], speech: Sequence[Utterance], recipe: Recipe) -> None:
    """Raise ImportError, naming the extra, where a part needs a package that is not there."""
    if ROOM in parts and recipe.room_folder is None:
        room_library.check()
    if any(_needs_recogniser(part, speech, recipe) for part in parts if part in voice_pairs.NEGATIVES):
        recognised_words.check()


def _needs_recogniser(part: str, speech: Sequence[Utterance], recipe: Recipe) -> bool:
    if recipe.check_words:
        return True
    return any(utterance.words is None for group in voice_pairs.groups(part, speech) for utterance in group)
