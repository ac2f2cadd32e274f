"""Items and frames of a toy language, and ABX written down as loops over triplets."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from eval.abx.abx_items import AbxItem, context_of


def items(seed: int = 0, per_group: int = 2) -> list[AbxItem]:
    """Three phones in two contexts by three speakers, of which some lack some."""
    rng = np.random.default_rng(seed)
    made = []
    for speaker in "xyz":
        for before, after in (("p", "q"), ("r", "SIL")):
            for phone in "abc":
                for place in range(int(rng.integers(0, per_group + 1))):
                    clip = f"{speaker}{before}{phone}{place}"
                    made.append(AbxItem(clip, 0.1 * place, 0.1 * place + 0.07, phone, before, after, speaker))
    return made


def frames(of: Sequence[AbxItem], seed: int = 0) -> list[np.ndarray]:
    """Random frames of one to five; some are copies of each other, so that there are ties."""
    rng = np.random.default_rng(seed)
    alphabet = rng.standard_normal((5, 6))
    return [alphabet[rng.integers(0, 5, rng.integers(1, 6))] for _ in of]


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """The cheapest path's cost by its length, found backwards as libri-light does it."""
    n, m = len(first), len(second)
    angle = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            cosine = first[i] @ second[j] / np.linalg.norm(first[i]) / np.linalg.norm(second[j])
            angle[i, j] = math.acos(min(1.0, max(-1.0, cosine))) / math.pi
    cost = np.full((n + 1, m + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            cost[i + 1, j + 1] = angle[i, j] + min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
    i, j, length = n, m, 1
    while i > 1 or j > 1:
        steps = {(i - 1, j - 1): cost[i - 1, j - 1], (i, j - 1): cost[i, j - 1], (i - 1, j): cost[i - 1, j]}
        i, j = min(steps, key=lambda step: steps[step])
        length += 1
    return float(cost[n, m] / length)


def error(of: Sequence[AbxItem], own: Sequence[np.ndarray], condition: str, *, across: bool) -> float | None:
    """ABX by its definition: triplets, then contexts and X's speakers, then speakers, then pairs of phones."""
    near = [[distance(first, second) for second in own] for first in own]
    cells: dict[tuple, list[float]] = defaultdict(list)
    places = range(len(of))
    for a in places:
        for x in places:
            alike = of[a].phone == of[x].phone and context_of(of[a], condition) == context_of(of[x], condition)
            if a == x or not alike or (of[a].speaker != of[x].speaker) != across:
                continue
            for b in places:
                beside = of[b].speaker == of[a].speaker and context_of(of[b], condition) == context_of(of[a], condition)
                if not beside or of[b].phone == of[a].phone:
                    continue
                gap = near[a][x] - near[b][x]
                key = (of[a].phone, of[b].phone, of[a].speaker, context_of(of[a], condition), of[x].speaker)
                cells[key].append(0.5 if abs(gap) < 1e-6 else float(gap > 0))
    for keys in (3, 2):
        coarser: dict[tuple, list[float]] = defaultdict(list)
        for key, values in cells.items():
            coarser[key[:keys]].append(float(np.mean(values)))
        cells = coarser
    return float(np.mean([np.mean(values) for values in cells.values()])) if cells else None
