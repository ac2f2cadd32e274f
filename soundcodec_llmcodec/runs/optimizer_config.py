"""An optimizer and its learning rates, of a codec's parts and of a language model alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import check_steps, in_steps, learning_rate_at
from soundcodec_llmcodec.setting import setting


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer and its learning rates: a linear warm-up, `hold` steps at the full rate, then a cosine down to the
    final rate. A run whose rate is held can be made longer; what it gives is best after the cosine."""

    kind: Literal["adamw", "sgd"] = setting("adamw", "the optimizer")
    learning_rate: float = setting(6e-4, "the full learning rate")
    final_learning_rate: float = setting(3e-5, "the learning rate that the cosine ends at")
    warmup: float = setting(0, "steps of linear warm-up; below 1, a share of the run's steps")
    hold: float = setting(0, "steps at the full rate after the warm-up; below 1, a share of the run's steps")
    betas: tuple[float, float] = setting((0.8, 0.99), "decays of AdamW's two moments")
    momentum: float = setting(0.9, "momentum of SGD")
    horizon: float | None = setting(
        None,
        "the step that the cosine ends at, so that runs of other lengths may have the same rates (null: the run's "
        "end; below 1, a share of its steps)",
    )
    weight_decay: float = setting(0.01, "decay of matrices; gains, biases and code vectors do not decay")
    gradient_clip: float | None = setting(
        1.0, "gradients of a larger norm are scaled down to this one (null: of no norm)"
    )

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise TrainConfigError(f"learning_rate must be above zero, got {self.learning_rate!r}")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise TrainConfigError(
                f"gradient_clip must be above zero, or null for no clipping, got {self.gradient_clip!r}"
            )
        if self.horizon is not None:
            check_steps("horizon", self.horizon)
            if self.horizon == 0 or (min(self.warmup, self.horizon) >= 1 and self.warmup >= self.horizon):
                raise TrainConfigError(
                    f"horizon must lie after the {self.warmup:g} steps of warm-up, got {self.horizon!r}"
                )
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise TrainConfigError(
                f"final_learning_rate must lie in [0, {self.learning_rate}], got {self.final_learning_rate!r}"
            )

    @property
    def largest_norm(self) -> float:
        """`gradient_clip`; infinity where gradients are not clipped."""
        return math.inf if self.gradient_clip is None else self.gradient_clip

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate at a step (counted from 0) of a run of `steps`; shares are shares of those."""
        total = steps if self.horizon is None else in_steps(self.horizon, steps)
        warmup, hold = in_steps(self.warmup, steps), in_steps(self.hold, steps)
        return learning_rate_at(step, total, warmup, self.learning_rate, self.final_learning_rate, hold)

    def build(self, groups: list[dict[str, Any]], fused: bool | None = None) -> torch.optim.Optimizer:
        """The optimizer of parameter groups, each with its own `weight_decay`. `fused` is AdamW's."""
        if self.kind == "sgd":
            return torch.optim.SGD(groups, lr=self.learning_rate, momentum=self.momentum)
        return torch.optim.AdamW(groups, lr=self.learning_rate, betas=self.betas, fused=fused)
