"""How discriminators learn, beside what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.setting import setting
from soundcodec_llmcodec.train.discriminators import DiscriminatorConfig

# The widest analysis window is 2048 samples, and half of it is reflected at each end.
SHORTEST_SEGMENT_S = 0.1


@dataclass(frozen=True)
class AdversaryConfig:
    """Discriminators: what they are, and how they learn. Their optimizer's warm-up and cosine count from their own
    first step, over the rest of the run."""

    discriminators: DiscriminatorConfig = setting(DiscriminatorConfig, "which there are, and their sizes")
    loss: Literal["hinge", "least_squares"] = setting("hinge", "the adversarial loss of both sides")
    optimizer: OptimizerConfig = setting(
        lambda: OptimizerConfig(learning_rate=2e-4, final_learning_rate=1e-5), "the discriminators' optimizer"
    )
    segment_s: float = setting(1.0, "seconds of each clip that discriminators see")
    lead: float = setting(
        0,
        "steps that discriminators train before the codec's adversarial losses begin (below 1: a share of the run's)",
    )
    r1_gamma: float = setting(2.0, "gamma of the R1 penalty, gamma / 2 * |gradient|^2")
    r1_every: int = setting(0, "steps from one R1 penalty to the next (0: never)")
    r1_lazy: bool = setting(True, "whether R1 counts r1_every times where it counts (StyleGAN2), or once")
    reduction: Literal["mean", "sum"] = setting(
        "mean", "losses are means over discriminators and layers, or sums; a sum's R1 is of the sum of all outputs"
    )
    feature_error: Literal["relative", "absolute"] = setting(
        "relative", "L1 of features relative to the size of the real ones, or absolute"
    )
    precision: Literal["run", "float32"] = setting(
        "run", "precision of the discriminators' products: the run's, or float32"
    )

    def __post_init__(self) -> None:
        if self.segment_s < SHORTEST_SEGMENT_S:
            raise TrainConfigError(f"segment_s must be at least {SHORTEST_SEGMENT_S} s, got {self.segment_s!r}")
        if self.r1_every < 0 or self.r1_gamma < 0:
            raise TrainConfigError("r1_gamma and r1_every cannot be negative")
