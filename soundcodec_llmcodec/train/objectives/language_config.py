"""The frozen LLM of a codec's training, and what trains beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.setting import setting
from soundcodec_llmcodec.train.objectives.alignment import AlignmentConfig
from soundcodec_llmcodec.train.objectives.bridge import BridgeConfig
from soundcodec_llmcodec.train.objectives.soft_targets import TEMPERATURE


@dataclass(frozen=True)
class LanguageConfig:
    """The frozen LLM and what trains beside it: audio embeddings, bridge, heads.

    A piece is what a process takes at a time: a step's clips over processes and accumulation.
    """

    model: str = setting("smollm2", 'the frozen LLM: "smollm2", a folder, a GGUF file or a hub id')
    precision: Literal["float32", "bfloat16"] = setting("float32", "the type of the LLM's weights and products")
    gradient_checkpointing: bool = setting(False, "whether the LLM computes its layers twice to save memory")
    optimizer: OptimizerConfig = setting(
        lambda: OptimizerConfig(learning_rate=1e-4, final_learning_rate=1e-4, betas=(0.9, 0.99)),
        "the optimizer of what trains beside the LLM",
    )
    bridge: BridgeConfig = setting(BridgeConfig, "how codes become the LLM's inputs, and its gradients the encoder's")
    alignment: AlignmentConfig = setting(AlignmentConfig, "semantic alignment with the clips' texts")
    future_heads: int = setting(5, "heads of future-token prediction, each for a token further ahead")
    head_spread: float = setting(
        0.1, "1 lets the heads' rows differ as much as the LLM's words do at the start, 0 makes them equal"
    )
    rows: Literal["free", "codebook"] = setting(
        "free",
        "the codes' embedding rows at the LLM's input and at the heads: each learnt by itself, or a network of the "
        "code vectors, which predicts something of every code after few steps",
    )
    row_hidden: int = setting(256, "hidden units of that network")
    share: float = setting(1.0, "share of a piece's clips that the LLM reads, at least one clip")
    targets: Literal["codes", "encoder"] = setting(
        "codes",
        "what future tokens are: the codes, as published (the encoder learns only to be a good past), or the encoder's "
        "softmax over codes (it also learns to choose what is predicted)",
    )
    target_temperature: float = setting(TEMPERATURE, "temperature of the encoder's softmax over cosines")
    text_coverage: float = setting(
        0.9, "share of its clip that a crop has to hold for the clip's text to be the crop's (0: any crop)"
    )
    text_share: float = setting(
        0.5, "with alignment, share of the clips that are drawn among those with a text that fit"
    )
    longest_text: int = setting(64, "words of a text that are read (0: all)")

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise TrainConfigError(f"language.share lies above 0 and up to 1, got {self.share!r}")
        if not self.target_temperature > 0:
            raise TrainConfigError(f"language.target_temperature must be above zero, got {self.target_temperature!r}")
        if self.longest_text < 0:
            raise TrainConfigError(f"language.longest_text cannot be negative, got {self.longest_text!r}")
        if self.row_hidden < 1:
            raise TrainConfigError(f"language.row_hidden must be at least 1, got {self.row_hidden!r}")

    def clips_read(self, clips: int) -> int:
        """How many of a piece's clips the LLM reads."""
        return max(1, round(self.share * clips))
