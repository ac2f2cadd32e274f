"""Dynamic time warping of two sequences of numbers, step for step as librosa.sequence.dtw does it by default.

librosa's compiles itself by numba, which makes a worker start seconds later.
"""

from __future__ import annotations

import numpy as np

_DIAGONAL, _RIGHT, _DOWN = 0, 1, 2


def path(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The cheapest warping path int64 (P, 2) from (0, 0) to (N-1, M-1), by steps of (1, 1), (0, 1) and (1, 0).

    first (N,) and second (M,) are float64, neither empty. A cell costs the absolute difference of its two numbers. Of
    steps that cost the same, the one that is named first above is taken.
    """
    if first.ndim != 1 or second.ndim != 1 or not len(first) or not len(second):
        raise ValueError(f"expected two sequences of numbers, neither empty, got {first.shape} and {second.shape}")
    return _walk_back(_steps(first, second), len(first), len(second))


def _steps(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    """The step into each cell: a uint8 array for each antidiagonal, by rising row.

    Cells of one antidiagonal do not depend on each other, so that each is a few operations on whole arrays. Costs are
    kept by row + 1, with infinity around the matrix.
    """
    n, m = len(first), len(second)
    backwards = second[::-1]
    before = np.full(n + 1, np.inf)  # the antidiagonal two before
    last = np.full(n + 1, np.inf)
    last[1] = abs(first[0] - second[0])
    steps = [np.array([_DIAGONAL], dtype=np.uint8)]
    for diagonal in range(1, n + m - 1):
        low, high = max(0, diagonal - m + 1), min(n, diagonal + 1)  # rows low to high - 1
        # Column diagonal - row is index m - 1 - diagonal + row from the end.
        start = m - 1 - diagonal + low
        costs = np.abs(first[low:high] - backwards[start : start + high - low])
        # The cost is added before comparing: two sums can be equal where their first terms are not.
        across, right, down = (before[low:high] + costs, last[low + 1 : high + 1] + costs, last[low:high] + costs)
        best = np.minimum(across, right)
        step = (right < across).view(np.uint8)
        step[down < best] = _DOWN
        now = np.full(n + 1, np.inf)
        np.minimum(best, down, out=now[low + 1 : high + 1])
        before, last = last, now
        steps.append(step)
    return steps


def _walk_back(steps: list[np.ndarray], n: int, m: int) -> np.ndarray:
    row, column = n - 1, m - 1
    cells = [(row, column)]
    while row or column:
        step = steps[row + column][row - max(0, row + column - m + 1)]
        row -= step != _RIGHT
        column -= step != _DOWN
        cells.append((row, column))
    return np.array(cells[::-1], dtype=np.int64)
