"""The whole network, under the published state-dict keys: `tokenizer.*` encodes, `token2wav.*` decodes.

Letters: B batch, S samples, F frames, D features, Q codebook levels, N n_fft.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.conformer import Conformer
from soundcodec_llmcodec.nn.quantizer import Quantized, ResidualQuantizer
from soundcodec_llmcodec.nn.stft import ISTFTHead, STFTHead


def pad_to_frames(samples: Tensor, config: CodecConfig) -> Tensor:
    """Samples (S,) to the (F - 1) * hop + N samples that its F = ceil(S / hop) frames look at.

    Zeros fill the last frame (and, for the shortest clips, as much as reflecting needs), then both ends are reflected.
    """
    frames = config.frames(samples.shape[-1])
    padding = config.stft_padding
    least = (padding // config.hop_length + 1) * config.hop_length
    whole = max(frames * config.hop_length, least)
    filled = functional.pad(samples, (0, whole - samples.shape[-1]))
    reflected = functional.pad(filled[None], (padding, padding), mode="reflect")[0]
    return reflected[: (frames - 1) * config.hop_length + config.n_fft]


class Tokenizer(nn.Module):
    """Padded samples to codes."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.stft_head = STFTHead(config.hidden_size, config.n_fft, config.hop_length)
        self.conformer = Conformer(config, config.encoder_layers)
        self.vq = ResidualQuantizer(config)

    def features(self, padded: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, (F - 1) * hop + N) samples to encoder features (B, F, D)."""
        return self.conformer(self.stft_head(padded), frame_mask)

    def forward(
        self, padded: Tensor, frame_mask: Tensor | None, start: int, end: int, want_margins: bool = False
    ) -> Quantized:
        """(B, (F - 1) * hop + N) samples to `Quantized` codes in [start, end)."""
        features = self.features(padded, frame_mask)
        # The search for the nearest code runs in float32 whatever the conformer ran in.
        with torch.autocast(padded.device.type, enabled=False):
            return self.vq(features.float(), start, end, want_margins)


class TokenToWave(nn.Module):
    """Code features to samples."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.conformer = Conformer(config, config.decoder_layers)
        self.istft_head = ISTFTHead(config.hidden_size, config.n_fft, config.hop_length)

    def forward(self, features: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, F, D) to (B, F * hop) float32 samples."""
        return self.istft_head(self.conformer(features, frame_mask), frame_mask)


class CodecModel(nn.Module):
    """Encoder, codebook and decoder."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = Tokenizer(config)
        self.token2wav = TokenToWave(config)

    def encode(self, padded: Tensor, frame_mask: Tensor | None = None, domain: str | None = None) -> Tensor:
        """Padded samples (B, (F - 1) * hop + N) to codes (B, Q, F) int64."""
        return self.tokenizer(padded, frame_mask, *self.config.partition(domain)).codes

    def decode(self, codes: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """Codes (B, Q, F) to samples (B, F * hop)."""
        return self.token2wav(self.tokenizer.vq.embed(codes), frame_mask)

    def forward(self, padded: Tensor, frame_mask: Tensor | None = None) -> tuple[Tensor, Quantized]:
        """There and back: padded samples to (samples (B, F * hop), `Quantized`)."""
        quantized = self.tokenizer(padded, frame_mask, 0, self.config.codebook_size)
        return self.token2wav(quantized.features, frame_mask), quantized
