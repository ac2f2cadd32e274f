"""X-Codec's semantic decoder: what a frozen speech encoder hears is rebuilt from the features after the codebook.

It trains beside the codec and is not part of it: neither encoding nor decoding needs it. Letters: B batch, F frames, D
features after the codebook, L layers taken, W the speech encoder's width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.nn.semantic_join import ConvolutionBlocks, mean_of_layers
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.setting import setting


@dataclass(frozen=True)
class SemanticDecoderConfig:
    """X-Codec's decoder of semantic features, of the loss semantic."""

    blocks: int = setting(2, "residual blocks")
    kernel: int = setting(3, "frames that a convolution sees")
    width: int = setting(256, "features in it")

    def __post_init__(self) -> None:
        if min(self.blocks, self.width) < 1:
            raise TrainConfigError(f"blocks and width must be positive, got {self.blocks} and {self.width}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise TrainConfigError(f"kernel must be odd, to keep the length, got {self.kernel}")


class SemanticDecoder(nn.Module):
    """A projection, convolutions, and a layer of the speech encoder's width."""

    def __init__(self, config: SemanticDecoderConfig, teacher: SemanticConfig, codec: CodecConfig) -> None:
        super().__init__()
        self.layers = len(teacher.layers)
        self.inp = nn.Linear(codec.hidden_size, config.width)
        self.blocks = ConvolutionBlocks(config.width, config.width, config.blocks, config.kernel)
        self.out = nn.Linear(config.width, teacher.width)

    def rebuilt(self, features: Tensor) -> Tensor:
        """Features after the codebook (B, F, D) to semantic features (B, F, W)."""
        rebuilt: Tensor = self.out(self.blocks(self.inp(features)))
        return rebuilt

    def forward(self, features: Tensor, states: Tensor) -> Tensor:
        """The mean square error, over clips, frames and widths, of what is rebuilt from features (B, F, D) against the
        mean over layers of the speech encoder's states (B, F, L * W), which take no gradient."""
        target = mean_of_layers(states.detach(), self.layers).float()
        return functional.mse_loss(self.rebuilt(features).float(), target)


def teacher_of_loss(teacher: SemanticConfig, codec: CodecConfig) -> SemanticConfig:
    """The speech encoder whose features the semantic decoder rebuilds: the codec's own where they join before the
    codebook, else `teacher`."""
    joined = codec.semantic is not None and codec.semantic.join is not None
    return codec.semantic if codec.semantic is not None and joined else teacher
