"""The whole network, under the published state-dict keys: `tokenizer.*` encodes, `token2wav.*` decodes.

Letters: B batch, S samples, F frames, D features, Q codebook levels, N n_fft.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.absent_encoder import AbsentEncoder
from soundcodec_llmcodec.nn.conformer import Conformer
from soundcodec_llmcodec.nn.harmonics import Anchor, HarmonicSource
from soundcodec_llmcodec.nn.linear import linear
from soundcodec_llmcodec.nn.quantizer import Quantized, ResidualQuantizer
from soundcodec_llmcodec.nn.semantic import SemanticBranch
from soundcodec_llmcodec.nn.semantic_join import SemanticJoin
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

    def __init__(self, config: CodecConfig, absent: AbsentEncoder | None = None) -> None:
        super().__init__()
        self.stft_head: STFTHead | MagnitudeHead
        if config.magnitudes is None:
            self.stft_head = STFTHead(config.hidden_size, config.n_fft, config.hop_length)
        else:
            self.stft_head = MagnitudeHead(config, config.magnitudes)
        self.semantic = None if config.semantic is None else SemanticBranch(config.semantic, config, absent)
        joins = config.semantic is not None and config.semantic.join is not None
        self.join = SemanticJoin(config.semantic, config) if config.semantic is not None and joins else None
        self.conformer = Conformer(config, config.encoder_layers)
        self.vq = ResidualQuantizer(config)

    def features(self, padded: Tensor, frame_mask: Tensor | None = None, states: Tensor | None = None) -> Tensor:
        """(B, (F - 1) * hop + N) samples to features before the codebook (B, F, D).

        `states` are the semantic branch's for these samples, where they are known already.
        """
        acoustic = self.stft_head(padded)
        if self.semantic is None:
            return self.conformer(acoustic, frame_mask)
        if states is None:
            states = self.semantic.states(padded, frame_mask)
        if self.join is None:
            return self.conformer(acoustic + self.semantic.added(states), frame_mask)
        return self.join(self.conformer(acoustic, frame_mask), states, frame_mask)

    def forward(
        self,
        padded: Tensor,
        frame_mask: Tensor | None,
        start: int,
        end: int,
        want_margins: bool = False,
        states: Tensor | None = None,
        levels: int | None = None,
    ) -> Quantized:
        """(B, (F - 1) * hop + N) samples to `Quantized` codes in [start, end); features are those of the first
        `levels`."""
        features = self.features(padded, frame_mask, states)
        # The search for the nearest code runs in float32 whatever the conformer ran in.
        with torch.autocast(padded.device.type, enabled=False):
            return self.vq(features.float(), start, end, want_margins, levels)


class Decoded(NamedTuple):
    """Samples (B, F * hop) float32; where there is a harmonic source, its pulses' cycles at the frames' centres (B, F)
    float64 and its pitch's logits (B, F, V)."""

    samples: Tensor
    cycles: Tensor | None = None
    pitch_logits: Tensor | None = None


class TokenToWave(nn.Module):
    """Code features to samples."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        joins = config.semantic is not None and config.semantic.join is not None
        # X-Codec's projection after the codebook; what rebuilds the semantic features has another.
        self.inp = nn.Linear(config.hidden_size, config.hidden_size) if joins else None
        self.conformer = Conformer(config, config.decoder_layers)
        self.istft_head = ISTFTHead(config.hidden_size, config.n_fft, config.hop_length)
        self.harmonics = None if config.harmonics is None else HarmonicSource(config.harmonics, config)

    def forward(self, features: Tensor, frame_mask: Tensor | None = None, anchor: Anchor | None = None) -> Decoded:
        """(B, F, D) to `Decoded`. The anchor says where the harmonic source's pulses are, in a stretch of a clip."""
        return self.synthesize(self.conformer(self.projected(features), frame_mask), frame_mask, anchor)

    def projected(self, features: Tensor) -> Tensor:
        """Code features (B, F, D) to the conformer's input (B, F, D)."""
        return features if self.inp is None else linear(features, self.inp.weight, self.inp.bias)

    def synthesize(self, features: Tensor, frame_mask: Tensor | None = None, anchor: Anchor | None = None) -> Decoded:
        """The conformer's features (B, F, D) to `Decoded`."""
        if self.harmonics is None:
            return Decoded(self.istft_head(features, frame_mask))
        # In float32 whatever the conformer ran in, as the head.
        with torch.autocast(features.device.type, enabled=False):
            source = self.harmonics(features.float(), self.istft_head.istft.window, frame_mask, anchor)
        return Decoded(self.istft_head(features, frame_mask, source), source.cycles, source.logits)


class CodecModel(nn.Module):
    """Encoder, codebook and decoder; with `absent` in place of a speech encoder that cannot be had."""

    def __init__(self, config: CodecConfig, absent: AbsentEncoder | None = None) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = Tokenizer(config, absent)
        self.token2wav = TokenToWave(config)

    def encode(self, padded: Tensor, frame_mask: Tensor | None = None, domain: str | None = None) -> Tensor:
        """Padded samples (B, (F - 1) * hop + N) to codes (B, Q, F) int64."""
        return self.tokenizer(padded, frame_mask, *self.config.partition(domain)).codes

    def decode(self, codes: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """Codes (B, Q, F) to samples (B, F * hop); Q is one of the config's `levels_to_decode`."""
        return self.decode_part(codes, frame_mask).samples

    def decode_part(self, codes: Tensor, frame_mask: Tensor | None = None, anchor: Anchor | None = None) -> Decoded:
        """Codes (B, Q, F) of a stretch of a clip to `Decoded`."""
        decoded: Decoded = self.token2wav(self.tokenizer.vq.embed(codes), frame_mask, anchor)
        return decoded

    def forward(self, padded: Tensor, frame_mask: Tensor | None = None) -> tuple[Tensor, Quantized]:
        """There and back: padded samples to (samples (B, F * hop), `Quantized`)."""
        decoded, quantized = self.reconstruct(padded, frame_mask)
        return decoded.samples, quantized

    def reconstruct(
        self,
        padded: Tensor,
        frame_mask: Tensor | None = None,
        states: Tensor | None = None,
        levels: int | None = None,
    ) -> tuple[Decoded, Quantized]:
        """There and back by way of the first `levels` (None: all), with what the decoder found on the way."""
        size = self.config.codebook_size
        quantized = self.tokenizer(padded, frame_mask, 0, size, states=states, levels=levels)
        return self.token2wav(quantized.features, frame_mask), quantized
