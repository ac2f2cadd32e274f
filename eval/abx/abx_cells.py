"""Which items are compared with which, and the error of each comparison.

A cell is a pair of phones (a, b) in one context, the speaker of A and B, and the speaker of X. Its error is the share
of triplets (A, B, X), A and X instances of a, B one of b, in which X is farther from A than from B; ties count half.
Within a speaker, X is of the same speaker and another instance than A; across speakers, X is of another speaker.

Letters: R items of a block's rows, C of its columns.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.abx.abx_items import AbxItem, context_of
from eval.abx.item_distances import ItemFrames, distances

# Distances that differ by less are equal: rounding must not decide between two copies of a frame.
TIE = 1e-6


@dataclass(frozen=True, eq=False)
class AbxBlock:
    """What is compared in one context for the A and B of one speaker.

    `rows` are the speaker's items, phone by phone: `phones` (P,), and the place `first` (P,) of each one's first row.
    X are items of `x_phones` by `x_speakers`, whose places are in `xs`.
    """

    speaker: int
    rows: np.ndarray
    phones: np.ndarray
    first: np.ndarray
    x_phones: tuple[int, ...]
    x_speakers: tuple[int, ...]
    xs: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class AbxPlan:
    """All that is compared, the same for every representation: names of phones and speakers, and the blocks."""

    phones: tuple[str, ...]
    speakers: tuple[str, ...]
    blocks: tuple[AbxBlock, ...]

    @property
    def used(self) -> np.ndarray:
        """The places of all items that take part, rising."""
        parts = [part for block in self.blocks for part in (block.rows, *block.xs)]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class AbxCells:
    """Cells, all (N,): phones a and b, the speaker of A and B, that of X, triplets, and errors from 0 to 1."""

    a: np.ndarray
    b: np.ndarray
    speaker: np.ndarray
    x_speaker: np.ndarray
    triplets: np.ndarray
    errors: np.ndarray

    @property
    def is_within(self) -> np.ndarray:
        """(N,) bool: the cells whose X is of the same speaker."""
        return self.speaker == self.x_speaker

    def part(self, mask: np.ndarray) -> AbxCells:
        """The cells of a mask (N,)."""
        fields = (self.a, self.b, self.speaker, self.x_speaker, self.triplets, self.errors)
        return AbxCells(*(field[mask] for field in fields))


def plan(items: Sequence[AbxItem], condition: str, most_speakers: int, seed: int) -> AbxPlan:
    """What items are compared in a condition; X of at most so many other speakers for each context, speaker and phone,
    drawn by a seed of that group's own."""
    phones = tuple(sorted({item.phone for item in items}))
    speakers = tuple(sorted({item.speaker for item in items}))
    phone_place, speaker_place = ({name: place for place, name in enumerate(names)} for names in (phones, speakers))
    contexts: dict[tuple[str, str], dict[int, dict[int, list[int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for place, item in enumerate(items):
        of_context = contexts[context_of(item, condition)]
        of_context[speaker_place[item.speaker]][phone_place[item.phone]].append(place)
    blocks = []
    for context, by_speaker in contexts.items():
        for speaker, by_phone in by_speaker.items():
            if len(by_phone) < 2:
                continue
            xs: list[tuple[int, int, list[int]]] = []
            for phone, own in by_phone.items():
                if len(own) > 1:
                    xs.append((phone, speaker, own))
                others = sorted(other for other, theirs in by_speaker.items() if other != speaker and phone in theirs)
                key = (str(seed), *context, speakers[speaker], phones[phone])
                ranks = {other: _rank((*key, speakers[other])) for other in others}
                drawn = sorted(sorted(others, key=ranks.__getitem__)[:most_speakers])
                xs += [(phone, other, by_speaker[other][phone]) for other in drawn]
            if xs:
                blocks.append(_block(speaker, by_phone, xs))
    return AbxPlan(phones, speakers, tuple(blocks))


def scored(abx_plan: AbxPlan, frames: ItemFrames) -> AbxCells:
    """The errors of a representation, whose frames are those of the plan's items, in their order."""
    columns: list[list[np.ndarray]] = [[], [], [], [], [], []]
    for block in abx_plan.blocks:
        places, back = np.unique(np.concatenate(block.xs), return_inverse=True)
        matrix = distances(frames, block.rows, places)
        start = 0
        for phone, x_speaker, xs in zip(block.x_phones, block.x_speakers, block.xs, strict=True):
            to_x = matrix[:, back[start : start + len(xs)]]
            start += len(xs)
            errors, triplets = _errors(block, to_x, phone, xs)
            others = block.phones != phone
            count = int(others.sum())
            for column, values in zip(
                columns,
                (
                    np.full(count, phone),
                    block.phones[others],
                    np.full(count, block.speaker),
                    np.full(count, x_speaker),
                    triplets[others],
                    errors[others],
                ),
                strict=True,
            ):
                column.append(values)
    return AbxCells(*(np.concatenate(column) if column else np.zeros(0) for column in columns))


def _errors(block: AbxBlock, to_x: np.ndarray, phone: int, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors and triplets by phone b (P,), of the distances (R, X) of a block's rows to instances of a phone."""
    ends = np.append(block.first[1:], len(block.rows))
    place = int(np.flatnonzero(block.phones == phone)[0])
    own = slice(block.first[place], ends[place])
    pairs = (block.rows[own][:, None] != xs).astype(np.float64)
    farther = to_x[own][:, None, :] - to_x[None, :, :]
    wrong = np.where(np.abs(farther) <= TIE, 0.5, farther > 0)
    by_row = np.einsum("arx,ax->r", wrong, pairs)
    triplets = pairs.sum() * (ends - block.first)
    return np.add.reduceat(by_row, block.first) / triplets, triplets.astype(np.int64)


def _block(speaker: int, by_phone: dict[int, list[int]], xs: list[tuple[int, int, list[int]]]) -> AbxBlock:
    phones = sorted(by_phone)
    counts = np.array([len(by_phone[phone]) for phone in phones])
    return AbxBlock(
        speaker=speaker,
        rows=np.array([place for phone in phones for place in by_phone[phone]]),
        phones=np.array(phones),
        first=np.cumsum(counts) - counts,
        x_phones=tuple(phone for phone, _, _ in xs),
        x_speakers=tuple(other for _, other, _ in xs),
        xs=tuple(np.array(places) for _, _, places in xs),
    )


def _rank(key: tuple[str, ...]) -> bytes:
    """A place in a random order that does not change where others are left out: items that are written and read back
    draw the same again."""
    return hashlib.sha256("\t".join(key).encode()).digest()
