"""What a measurement of one clip comes to: a value, or a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """Either a finite value, or the reason why there is none.

    `weight` is what the value counts in a mean over clips: 1, or the number of words of a word error rate, whose mean
    is then all errors over all words. It follows from the reference alone, so that every model has the same weights.
    """

    value: float | None = None
    reason: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"a score's weight is above 0 and finite, got {self.weight!r}")
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"a score has a value or a reason, got value={self.value!r} and reason={self.reason!r}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a score's value is finite, got {self.value!r}; give a reason instead")

    @classmethod
    def of(cls, value: float) -> Score:
        """The value, or the reason that it is not a finite number."""
        number = float(value)
        return cls(number) if math.isfinite(number) else cls(reason=f"the metric gave {number}")
