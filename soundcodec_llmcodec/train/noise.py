"""Masked Gaussian noise on the encoder's input, while the target stays clean.

MagiCodec (Song et al. 2025) trains its encoder on frames some of which are noise: it learns to fill them in from their
neighbours, codes carry less of what changes fast, and tokens become easier to predict.

Letters: B batch, S samples, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.setting import setting

MODES = ("replace", "add")


@dataclass(frozen=True)
class NoiseConfig:
    """Masked noise on the encoder's input; quiet clips stay quiet."""

    share: float = setting(0.0, "probability of each frame to be touched")
    level: float = setting(1.0, "the noise's standard deviation over the clip's root mean square")
    mode: str = setting("replace", "replace: noise takes the place of the frame's samples; add: it is added to them")

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise TrainConfigError(f"the noise's share of frames must lie in [0, 1], got {self.share!r}")
        if not self.level >= 0:
            raise TrainConfigError(f"the noise's level cannot be negative, got {self.level!r}")
        if self.mode not in MODES:
            raise TrainConfigError(f"the noise's mode is one of {MODES}, got {self.mode!r}")


def masked_noise(
    padded: Tensor, codec: CodecConfig, config: NoiseConfig, generator: torch.Generator, training: bool = True
) -> Tensor:
    """The encoder's input (B, (F - 1) * hop + n_fft) with noise in some frames' own samples; `padded` stays as it is.

    A frame's own samples are the hop it is centred on; the padding at both ends is not touched. Out of training, or
    with a share of 0, the input itself comes back and nothing is drawn from `generator`.
    """
    if not training or config.share == 0:
        return padded
    frames = (padded.shape[1] - codec.n_fft) // codec.hop_length + 1
    first, length = codec.stft_padding, frames * codec.hop_length
    device = generator.device
    chosen = (torch.rand(len(padded), frames, device=device, generator=generator) < config.share).to(padded.device)
    noise = torch.randn(len(padded), length, device=device, generator=generator).to(padded.device, padded.dtype)
    own = padded[:, first : first + length]
    noise = noise * (config.level * own.square().mean(dim=1, keepdim=True).sqrt())
    touched = chosen.repeat_interleave(codec.hop_length, dim=1)
    noisy = torch.where(touched, noise if config.mode == "replace" else own + noise, own)
    return torch.cat((padded[:, :first], noisy, padded[:, first + length :]), dim=1)
