"""The decoder's harmonic source with free batch and length, and without complex numbers.

Letters: B batch, F frames, D features, N n_fft.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.export.spectral_graphs import ForwardTransform, frames_of
from soundcodec_llmcodec.nn.harmonics import HarmonicSource


class HarmonicGraph(nn.Module):
    """As nn.harmonics.HarmonicSource, anchored at a frame."""

    window: Tensor

    def __init__(self, source: HarmonicSource, window: Tensor) -> None:
        super().__init__()
        self.source = source
        self.register_buffer("window", window)
        self.transform = ForwardTransform(source.n_fft)

    def forward(
        self, features: Tensor, frame_mask: Tensor, frame: Tensor, cycles: Tensor
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Features (B, F, D) of items whose pulses are at `cycles` (B,) float64 at the centre of `frame` (1,) int64 to
        its share, and the real and the imaginary part of its phasors, as nn.harmonics.Harmonics has them, and the
        cycles (B, F) float64."""
        source, hop, bins = self.source, self.source.hop_length, self.source.harmonics.filter_bins
        pitch = source.table[source.pitch(features).argmax(dim=2)]
        wave, at_centres = source.wave(pitch, frame_mask, frame, cycles)
        spare = -source.n_fft % hop  # the last frame's hops, filled up
        hops = functional.pad(wave, (0, spare)).unflatten(1, (-1, hop))
        real, imaginary = (part[:, :, :bins] for part in self.transform(frames_of(hops, source.n_fft) * self.window))
        share, turn = source.response(features)
        cos, sin = torch.cos(turn), torch.sin(turn)
        parts = (share, cos * real - sin * imaginary, cos * imaginary + sin * real)
        of_frames = (source.all_bins(parts[0]), source.all_bins(parts[1]), source.all_bins(parts[2]))
        return of_frames, at_centres
