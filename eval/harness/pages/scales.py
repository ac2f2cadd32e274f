"""Round values along an axis."""

from __future__ import annotations

import math


def linear_ticks(low: float, high: float) -> list[float]:
    """Round values within [low, high], three to seven of them."""
    rough = (high - low) / 7
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round values within [low, high]: the coarsest of several ladders with five rungs there, at most eight of them."""
    powers = [10.0**exponent for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), tuple(tenth / 10 for tenth in range(10, 100))):
        ticks = [round(digit * power, 10) for power in powers for digit in digits if low <= digit * power <= high]
        if len(ticks) >= 5:
            break
    return ticks[:: math.ceil(len(ticks) / 8)]
