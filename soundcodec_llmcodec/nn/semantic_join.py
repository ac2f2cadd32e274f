"""X-Codec's branch at the codebook (Ye et al. 2024): a speech encoder's features through convolutions, joined to the
acoustic encoder's.

Letters: B batch, F frames, D features before the codebook, W the speech encoder's width, L layers taken, H width of the
convolutions, K kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError, JoinConfig, SemanticConfig
from soundcodec_llmcodec.nn.linear import linear


class ConvolutionBlocks(nn.Module):
    """A convolution, then residual blocks of two, the second over one frame: the semantic encoder's and decoder's body.

    Before the first and after the last frame of a clip there are zeros, for every convolution.
    """

    def __init__(self, features: int, width: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.inp = nn.Conv1d(features, width, kernel)
        self.over_frames = nn.ModuleList(nn.Conv1d(width, width, kernel) for _ in range(blocks))
        self.in_frame = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, F, features) to (B, F, H); frames outside `frame_mask` (B, F) count as zeros."""
        x = _convolved(self.inp, x, frame_mask)
        for over_frames, in_frame in self.residuals:
            hidden = functional.gelu(_convolved(over_frames, functional.gelu(x), frame_mask))
            x = x + linear(hidden, in_frame.weight, in_frame.bias)
        return x

    @property
    def residuals(self) -> list[tuple[nn.Conv1d, nn.Linear]]:
        """The two products of each residual block."""
        pairs = zip(self.over_frames, self.in_frame, strict=True)
        return [
            (over, inside) for over, inside in pairs if isinstance(over, nn.Conv1d) and isinstance(inside, nn.Linear)
        ]


class SemanticJoin(nn.Module):
    """The semantic encoder, and two projections whose results stand side by side before the codebook."""

    def __init__(self, config: SemanticConfig, codec: CodecConfig) -> None:
        super().__init__()
        join = join_of(config)
        semantic = codec.hidden_size // 2 if join.features is None else join.features
        self.layers = len(config.layers)
        self.encoder = ConvolutionBlocks(config.width, join.width, join.blocks, join.kernel)
        self.acoustic = nn.Linear(codec.hidden_size, codec.hidden_size - semantic)
        self.semantic = nn.Linear(join.width, semantic)

    def forward(self, acoustic: Tensor, states: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """Acoustic features (B, F, D) and the speech encoder's states (B, F, L * W) to (B, F, D)."""
        return self.joined(acoustic, self.encoder(mean_of_layers(states, self.layers), frame_mask))

    def joined(self, acoustic: Tensor, semantic: Tensor) -> Tensor:
        """Acoustic (B, F, D) and semantic features (B, F, H) to (B, F, D)."""
        parts = (
            linear(acoustic, self.acoustic.weight, self.acoustic.bias),
            linear(semantic, self.semantic.weight, self.semantic.bias),
        )
        return torch.cat(parts, dim=-1)


def join_of(config: SemanticConfig) -> JoinConfig:
    """The join of a config that has one."""
    if config.join is None:
        raise ConfigError("this semantic branch has no join: its states are added to the encoder's input")
    return config.join


def mean_of_layers(states: Tensor, layers: int) -> Tensor:
    """States (B, F, L * W) to their mean over layers (B, F, W): the semantic features of X-Codec."""
    return states.unflatten(-1, (layers, -1)).mean(dim=-2)


def _convolved(convolution: nn.Conv1d, x: Tensor, frame_mask: Tensor | None) -> Tensor:
    """A convolution over (B, F, C) as a product of each frame with its neighbours, so that a frame's numbers do not
    depend on what else is in the batch."""
    if frame_mask is not None:
        x = x * frame_mask[:, :, None].to(x.dtype)
    (kernel,) = convolution.kernel_size
    windows = functional.pad(x, (0, 0, kernel // 2, kernel // 2)).unfold(1, kernel, 1).flatten(2)
    return linear(windows, convolution.weight.flatten(1), convolution.bias)
