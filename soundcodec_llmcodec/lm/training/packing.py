"""Clips packed into rows: nothing of a clip reaches another, and hardly a position is wasted.

A clip is read as [begin, token 0, ..., token N - 1] and scored on [token 0, ..., token N - 1, end], so it takes N + 1
positions (N, and one score fewer, where the model has no token that begins). Its text, where the model speaks, is read
before all that and not scored: [character 0, ..., character C - 1, begin, token 0, ...]. A row holds pieces of clips:
whole clips, or parts of those that are longer than a row, cut such that every token is still scored just once.

Letters: B batch (rows), L LM positions, N tokens of a clip, C characters of its text, P pieces.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec.lm.training.token_clips import Clips

UNSCORED = -1
# Rows that wait for a piece that fits: more waste less, but clips of one length come together.
OPEN_ROWS = 64


@dataclass(frozen=True)
class Layout:
    """Ids of the model: code c is `first_id` + c; `bos_id` and `eos_id` are None where clips have no such token.

    Character i of a model that speaks text is `text_id` + i; it has a `bos_id`, between a clip's text and its tokens.
    """

    first_id: int
    bos_id: int | None
    eos_id: int | None
    text_id: int | None = None

    def positions(self, lengths: np.ndarray) -> np.ndarray:
        """Positions that clips of these lengths take, their text apart; the last one of a clip is read only to predict
        its end."""
        return lengths + (self.bos_id is not None) - (self.eos_id is None)

    def ids(self, clips: Clips, index: int) -> tuple[np.ndarray, int]:
        """All ids of a clip, int64, and how many of them stand before its first token."""
        before = np.array([] if self.bos_id is None else [self.bos_id], dtype=np.int64)
        after = np.array([] if self.eos_id is None else [self.eos_id], dtype=np.int64)
        if self.text_id is not None:
            before = np.concatenate((clips.text(index).astype(np.int64) + self.text_id, before))
        return np.concatenate((before, clips.clip(index).astype(np.int64) + self.first_id, after)), len(before)


def clip_positions(layout: Layout, clips: Clips) -> np.ndarray:
    """Positions that each clip takes, its text among them."""
    return layout.positions(clips.lengths) + clips.text_lengths


def clips_to_predict(layout: Layout, clips: Clips) -> int:
    """How many clips have a token that something stands before."""
    return int((layout.positions(clips.lengths) > 0).sum())


@dataclass(frozen=True)
class PackedPiece:
    """Positions [start, stop) of a clip."""

    clip: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


Row = tuple[PackedPiece, ...]


@dataclass(frozen=True)
class PackedBatch:
    """Rows as the model takes them, padded on the right.

    ids, positions, segments, targets (B, L) int64: positions restart with each piece; segments number a row's pieces
    (the padding has a number of its own); a target is the id that follows in the clip, UNSCORED where nothing does.
    """

    ids: Tensor
    positions: Tensor
    segments: Tensor
    targets: Tensor

    @property
    def scored(self) -> Tensor:
        """(B, L) booleans."""
        return self.targets != UNSCORED

    def mask(self) -> Tensor:
        """(B, 1, L, L) booleans: which positions (last axis) a position may see, itself and those before in its piece.

        The padding sees itself: a softmax over nothing would be NaN.
        """
        same = self.segments[:, :, None] == self.segments[:, None, :]
        return (same & torch.ones_like(same[0]).tril())[:, None]

    def to(self, device: torch.device) -> PackedBatch:
        """The same on a device."""
        return PackedBatch(*(part.to(device) for part in (self.ids, self.positions, self.segments, self.targets)))


def packed(lengths: np.ndarray, row_tokens: int, seed: int | None, epoch: int = 0) -> list[Row]:
    """Rows of at most `row_tokens` positions that hold clips of these lengths (in positions), each once.

    The order is a function of (seed, epoch), where seed is None as it comes. Longer clips are cut into parts of
    `row_tokens`, the first of which ends at a random place.
    """
    generator = None if seed is None else np.random.default_rng((seed, epoch))
    order = np.arange(len(lengths)) if generator is None else generator.permutation(len(lengths))
    rows: list[Row] = []
    room: list[tuple[int, int]] = []  # (what is free, number) of rows that are open, sorted
    for clip in order:
        for piece in _pieces(int(clip), int(lengths[clip]), row_tokens, generator):
            # The fullest row that it fits in; where none does, a new one.
            fullest = bisect.bisect_left(room, (len(piece), -1))
            if fullest < len(room):
                free, row = room.pop(fullest)
                rows[row] = (*rows[row], piece)
            else:
                free, row = row_tokens, len(rows)
                rows.append((piece,))
            if free > len(piece):
                bisect.insort(room, (free - len(piece), row))
            if len(room) > OPEN_ROWS:
                room.pop(0)
    return rows if generator is None else [rows[index] for index in generator.permutation(len(rows))]


def _pieces(clip: int, length: int, row_tokens: int, generator: np.random.Generator | None) -> Iterator[PackedPiece]:
    if length <= row_tokens:
        if length > 0:
            yield PackedPiece(clip, 0, length)
        return
    start, stop = 0, row_tokens if generator is None else int(generator.integers(1, row_tokens + 1))
    while start < length:
        yield PackedPiece(clip, start, min(stop, length))
        start, stop = stop, stop + row_tokens


def collate(rows: Sequence[Row], clips: Clips, layout: Layout) -> PackedBatch:
    """The batch of some rows, as wide as the widest of them."""
    width = max(sum(map(len, row)) for row in rows)
    ids = np.full((len(rows), width), layout.first_id, dtype=np.int64)
    positions, segments = np.zeros_like(ids), np.full_like(ids, -1)
    targets = np.full_like(ids, UNSCORED)
    for index, row in enumerate(rows):
        at = 0
        for number, piece in enumerate(row):
            whole, n_before = layout.ids(clips, piece.clip)
            place = slice(at, at + len(piece))
            ids[index, place] = whole[piece.start : piece.stop]
            # A text is given, not predicted.
            whole[:n_before] = UNSCORED
            targets[index, place] = whole[piece.start + 1 : piece.stop + 1]
            positions[index, place] = np.arange(len(piece))
            segments[index, place] = number
            at += len(piece)
    return PackedBatch(*map(torch.from_numpy, (ids, positions, segments, targets)))


class Sampler:
    """Rows without end, epoch after epoch. `epoch` and `row` say where it stands: set them to go on from there."""

    def __init__(self, lengths: np.ndarray, row_tokens: int, seed: int) -> None:
        self.lengths, self.row_tokens, self.seed = lengths, row_tokens, seed
        self.epoch = self.row = 0
        self._rows: list[Row] = []
        self._packed: int | None = None

    def rows(self) -> list[Row]:
        """All rows of the epoch."""
        if self._packed != self.epoch:
            self._rows, self._packed = packed(self.lengths, self.row_tokens, self.seed, self.epoch), self.epoch
        return self._rows

    def take(self, count: int) -> list[Row]:
        """The next `count` rows."""
        taken: list[Row] = []
        while len(taken) < count:
            following = self.rows()[self.row : self.row + count - len(taken)]
            taken += following
            self.row += len(following)
            if self.row >= len(self.rows()):
                self.epoch, self.row = self.epoch + 1, 0
        return taken
