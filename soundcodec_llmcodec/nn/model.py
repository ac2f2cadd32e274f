"""The whole network, under the published state-dict keys: `tokenizer.*` encodes, `token2wav.*` decodes.

Letters: B batch, S samples, F frames, D features, Q codebook levels, N n_fft.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.conformer import Conformer
from soundcodec_llmcodec.nn.quantizer import Quantized, ResidualQuantizer
from soundcodec_llmcodec.nn.semantic import SemanticBranch
from soundcodec_llmcodec.nn.stft import ISTFTHead, MagnitudeHead, STFTHead


def framed_samples(samples: Tensor, config: CodecConfig, first: int = 0, last: int | None = None) -> Tensor:
    """The samples that frames [first, last) of a clip (S,) look at: ((last - first - 1) * hop + N,).

    The clip is filled with zeros to whole frames (the shortest clips to as much as reflecting needs) and reflected at
    both ends; only the part asked for is made, so that a slice of an hour costs as little as a slice of a second.
    """
    last = config.frames(samples.shape[-1]) if last is None else last
    start = first * config.hop_length - config.stft_padding
    stop = (last - 1) * config.hop_length + config.n_fft - config.stft_padding
    if start >= 0 and stop <= samples.shape[-1]:
        return samples[start:stop]
    least = (config.stft_padding // config.hop_length + 1) * config.hop_length
    whole = max(config.frames(samples.shape[-1]) * config.hop_length, least)
    index = torch.arange(start, stop, device=samples.device).abs()
    index = torch.where(index < whole, index, 2 * (whole - 1) - index)
    inside = index < samples.shape[-1]
    return torch.where(inside, samples[index.clamp(max=samples.shape[-1] - 1)], 0.0)


class Tokenizer(nn.Module):
    """Padded samples to codes."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.stft_head: STFTHead | MagnitudeHead
        if config.magnitudes is None:
            self.stft_head = STFTHead(config.hidden_size, config.n_fft, config.hop_length)
        else:
            self.stft_head = MagnitudeHead(config, config.magnitudes)
        self.semantic = None if config.semantic is None else SemanticBranch(config.semantic, config)
        self.conformer = Conformer(config, config.encoder_layers)
        self.vq = ResidualQuantizer(config)

    def features(self, padded: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, (F - 1) * hop + N) samples to encoder features (B, F, D)."""
        return self.conformer(self.inputs(padded, frame_mask), frame_mask)

    def inputs(self, padded: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, (F - 1) * hop + N) samples to the conformer's input (B, F, D)."""
        acoustic = self.stft_head(padded)
        return acoustic if self.semantic is None else acoustic + self.semantic(padded, frame_mask)

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
