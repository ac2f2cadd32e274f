"""How far apart two items are: the angle between their frames, summed along the best alignment.

The distance of two frames is arccos(cosine) / pi, from 0 to 1 (0.5 to a frame of zeros). Two items are aligned by
dynamic time warping (steps of one frame in either or in both), and their distance is the summed distance along the
cheapest path over the number of its pairs of frames, as in libri-light's and ZeroSpeech's ABX; of steps that cost the
same, the diagonal comes first, then that in the second item.

Letters: N items, R and C items of rows and columns, F frames, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Lengths up to each of these are computed together, at the largest's cost.
_BUCKETS = (2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 46, 60)
# So many pairs of items or fewer are computed together, whatever their lengths: small arrays cost time by number.
_FEW_PAIRS = 4_096
_CELLS_AT_ONCE = 1 << 22
_ROWS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class ItemFrames:
    """Items' frames, one item after the other: `directions` float64 (F, D) of unit length, and of each item the
    `starts` (N,) and `lengths` (N,)."""

    directions: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, items: Sequence[np.ndarray]) -> ItemFrames:
        """Items of frames (F_i, D), none empty."""
        lengths = np.array([len(item) for item in items], np.int64)
        if not len(items) or not lengths.all():
            raise ValueError("an item has no frames; every item needs one or more")
        frames = np.concatenate(items).astype(np.float64)
        norms = np.linalg.norm(frames, axis=1, keepdims=True)
        directions = np.divide(frames, norms, out=np.zeros_like(frames), where=norms > 0)
        return cls(directions, np.cumsum(lengths) - lengths, lengths)


def distances(frames: ItemFrames, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The distances float32 (R, C) of items by place: rows (R,) and columns (C,)."""
    row_frames, row_starts = _gathered(frames, rows)
    column_frames, column_starts = _gathered(frames, columns)
    angles = _angles(row_frames, column_frames)
    result = np.empty((len(rows), len(columns)), np.float32)
    together = len(rows) * len(columns) <= _FEW_PAIRS
    for r in _buckets(frames.lengths[rows], together):
        for c in _buckets(frames.lengths[columns], together):
            row_lengths, column_lengths = frames.lengths[rows[r]], frames.lengths[columns[c]]
            most = max(1, _CELLS_AT_ONCE // int(row_lengths.max() * column_lengths.max() * len(c)))
            for start in range(0, len(r), most):
                part = slice(start, start + most)
                lattice = _lattice(angles, row_starts[r[part]], row_lengths[part], column_starts[c], column_lengths)
                result[np.ix_(r[part], c)] = warped(lattice, row_lengths[part], column_lengths)
    return result


def warped(lattice: np.ndarray, row_lengths: np.ndarray, column_lengths: np.ndarray) -> np.ndarray:
    """Frame distances (N, M, R, C) of items of up to N and M frames to item distances (R, C).

    What lies beyond an item's own length is not looked at: the cheapest path to a cell depends on earlier cells alone.
    """
    result = np.empty(lattice.shape[2:], lattice.dtype)
    above: list[tuple[np.ndarray, np.ndarray]] = []
    for i in range(len(lattice)):
        row: list[tuple[np.ndarray, np.ndarray]] = []
        ends = row_lengths == i + 1
        for j in range(lattice.shape[1]):
            cost, steps = _cheapest(above, row, i, j, result)
            row.append((cost + lattice[i, j], steps + 1))
            finished = column_lengths == j + 1
            if ends.any() and finished.any():
                own = np.ix_(ends, finished)
                result[own] = (row[j][0] / row[j][1])[own]
        above = row
    return result


def _cheapest(
    above: list[tuple[np.ndarray, np.ndarray]],
    row: list[tuple[np.ndarray, np.ndarray]],
    i: int,
    j: int,
    like: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Cost and number of cells (R, C) of the cheapest path to the step before cell (i, j)."""
    if not i and not j:
        return np.zeros_like(like), np.zeros_like(like)
    if not i:
        return row[j - 1]
    if not j:
        return above[0]
    diagonal, left, up = above[j - 1], row[j - 1], above[j]
    side_cost = np.minimum(left[0], up[0])
    side_steps = np.where(left[0] <= up[0], left[1], up[1])
    cost = np.minimum(diagonal[0], side_cost)
    return cost, np.where(diagonal[0] <= side_cost, diagonal[1], side_steps)


def _angles(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The angles over pi, float32, of directions float64 (F, D) with others.

    The cosine is in float64, as arccos turns a rounding of 1e-7 near 1 into an angle of 4e-4.
    """
    angles = np.empty((len(rows), len(columns)), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE] @ columns.T
        np.clip(part, -1.0, 1.0, out=part)
        np.arccos(part, out=part)
        np.multiply(part, 1 / np.pi, out=angles[start : start + _ROWS_AT_ONCE], casting="same_kind")
    return angles


def _gathered(frames: ItemFrames, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames of some items, one after the other, and where each begins."""
    lengths = frames.lengths[places]
    starts = np.cumsum(lengths) - lengths
    index = np.arange(int(lengths.sum())) + np.repeat(frames.starts[places] - starts, lengths)
    return frames.directions[index], starts


def _lattice(
    angles: np.ndarray, row_starts: np.ndarray, row_lengths: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """The angles of pairs of items (N, M, R, C); beyond an item's end its last frame is repeated."""
    rows = row_starts + np.minimum(np.arange(int(row_lengths.max()))[:, None], row_lengths - 1)
    columns = starts + np.minimum(np.arange(int(lengths.max()))[:, None], lengths - 1)
    lattice: np.ndarray = angles[rows[:, None, :, None], columns[None, :, None, :]]
    return lattice


def _buckets(lengths: np.ndarray, together: bool) -> Iterator[np.ndarray]:
    """Places of items of similar lengths."""
    if together:
        yield np.arange(len(lengths))
        return
    buckets = np.searchsorted(_BUCKETS, lengths)
    for bucket in np.unique(buckets):
        yield np.flatnonzero(buckets == bucket)
