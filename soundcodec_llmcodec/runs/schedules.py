"""What changes over a run: each loss's weight, and learning rates."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.setting import setting


@dataclass(frozen=True)
class LossSchedule:
    """A loss's weight over a run of `total` steps.

    Nothing before `start`, then rising linearly to `weight` over `ramp` steps; with `final`, from there by a cosine to
    `final` over `decay` steps. `start`, `ramp` and `decay` are steps; values above 0 and below 1 are shares of the
    run's steps.
    """

    weight: float = setting(MISSING, "what the loss counts")
    start: float = setting(0, "step before which it does not count")
    ramp: float = setting(0, "steps over which its weight rises to the full")
    final: float | None = setting(None, "weight that it falls to by a cosine after the ramp (null: it does not)")
    decay: float | None = setting(None, "steps of that cosine (null: the rest of the run)")

    def __post_init__(self) -> None:
        for name in ("start", "ramp", "decay"):
            value = getattr(self, name)
            if value is not None:
                check_steps(name, value)
        if self.weight < 0 or (self.final is not None and self.final < 0):
            raise TrainConfigError(f"a loss's weight cannot be negative, got {self.weight!r} and final {self.final!r}")

    @property
    def is_off(self) -> bool:
        """Whether the loss never counts."""
        return self.weight == 0 and not self.final

    def first_step(self, total: int) -> int:
        """The step from which the loss counts."""
        return in_steps(self.start, total)

    def at(self, step: int, total: int) -> float:
        """The weight at a step (counted from 0) of a run of `total` steps."""
        since = step - self.first_step(total)
        if since < 0:
            return 0.0
        ramp = in_steps(self.ramp, total)
        if since < ramp:
            return self.weight * (since + 1) / ramp
        if self.final is None:
            return self.weight
        rest = total - self.first_step(total) - ramp
        length = max(1, rest if self.decay is None else in_steps(self.decay, total))
        done = min(1.0, (since - ramp) / length)
        return self.final + 0.5 * (self.weight - self.final) * (1 + math.cos(math.pi * done))


def check_steps(name: str, value: float) -> None:
    """Raise TrainConfigError where a value is neither a number of steps nor a share of them."""
    if value < 0 or (value > 1 and value != int(value)):
        raise TrainConfigError(f"{name} is a number of steps, or a share of them below 1, got {value!r}")


def in_steps(value: float, total: int) -> int:
    """A number of steps as written: a share of `total` where it is above 0 and below 1."""
    return round(value * total) if 0 < value < 1 else int(value)


def learning_rate_at(step: int, total: int, warmup: float, peak: float, final: float, hold: float = 0) -> float:
    """Linear warm-up to `peak`, `hold` steps there, then a cosine down to `final` at step `total`; `warmup` and `hold`
    may be shares of `total`."""
    warmup_steps = in_steps(warmup, total)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    hold_end = warmup_steps + in_steps(hold, total)
    progress = max(0.0, (step - hold_end) / max(1, total - hold_end))
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * min(1.0, progress)))
