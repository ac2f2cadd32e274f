"""A harmonic source for the decoder: a pulse train at each frame's pitch, filtered frame by frame (Wang et al. 2019).

A decoder whose tokens hold no phase has to make up the phase of every harmonic so that it goes on from frame to frame,
which no stretch of features tells it: harmonics blur. Here the phase is the sum of the pitch over time, as in a voice.

Letters: B batch, F frames, D features, N n_fft, V pitches, K knots of the pitch, H samples of a hop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import HarmonicConfig
from soundcodec_llmcodec.nn.linear import linear

# Below this sine of half a pulse's phase, its harmonics add up as at its peak.
_PEAK = 1e-7


class Anchor(NamedTuple):
    """Where a clip's pulses are at one of its frames: the cycles (B,) float64, modulo 1, at the centre of `frame`."""

    frame: int
    cycles: Tensor


class Harmonics(NamedTuple):
    """The source's share of the spectrum's magnitude (B, F, N / 2 + 1), 0 to 1; what stands for the unit phasors there,
    (B, F, N / 2 + 1) complex, about 1 on average and larger at harmonics; the pulses' cycles at each frame's centre
    (B, F) float64; the pitch's logits (B, F, V)."""

    share: Tensor
    phasors: Tensor
    cycles: Tensor
    logits: Tensor


class HarmonicSource(nn.Module):
    """Decoder features to harmonics of the pitch that they hold."""

    table: Tensor
    places: Tensor
    numbers: Tensor

    def __init__(self, harmonics: HarmonicConfig, config: CodecConfig) -> None:
        super().__init__()
        self.harmonics = harmonics
        self.sample_rate, self.hop_length, self.n_fft = config.sample_rate, config.hop_length, config.n_fft
        self.reach = harmonic_reach(config)
        self.pitch = nn.Linear(config.hidden_size, harmonics.pitches)
        self.filter = nn.Linear(config.hidden_size, 2 * harmonics.filter_bins)
        # Before it has learnt anything, half of the spectrum is the source's.
        nn.init.zeros_(self.filter.weight)
        nn.init.zeros_(self.filter.bias)
        # Pulses of this level have a spectrum with a mean square of 1 over their band, seen through Hann's window.
        level = math.sqrt(2 * harmonics.highest_hz / config.sample_rate / (0.375 * config.n_fft))
        # In float64 and as tensors: graph formats hold plain numbers in float32, of which a minute's sum is off.
        a_hop = config.hop_length / config.sample_rate
        steps = torch.arange(config.hop_length, dtype=torch.float64, device="cpu")
        self.register_buffer("table", harmonics.hertz() * a_hop, persistent=False)
        self.register_buffer("places", (steps + 0.5) / config.hop_length, persistent=False)
        numbers = torch.tensor([math.pi, harmonics.highest_hz * a_hop, level], dtype=torch.float64, device="cpu")
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(
        self, features: Tensor, window: Tensor, frame_mask: Tensor | None = None, anchor: Anchor | None = None
    ) -> Harmonics:
        """Features (B, F, D) float32 and the inverse STFT's window (N,) to `Harmonics`.

        The pulses' phase is 0 at the centre of the first frame, or what the anchor says at its frame. No gradient goes
        through the pitch: it is learnt from the logits.
        """
        logits = linear(features, self.pitch.weight, self.pitch.bias)
        with torch.no_grad():
            pulses, cycles = self.pulses(self.table[logits.argmax(dim=2)], frame_mask, anchor)
            source = torch.fft.rfft(pulses * window)[:, :, : self.harmonics.filter_bins]
        share, turn = self.response(features)
        turned = torch.polar(torch.ones_like(turn), turn) * source
        return Harmonics(self.all_bins(share), self.all_bins(turned), cycles, logits)

    def response(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F, D) to the source's share and its turn in radians, (B, F, filter bins) each."""
        share, turn = linear(features, self.filter.weight, self.filter.bias).chunk(2, dim=2)
        return torch.sigmoid(share), turn

    def all_bins(self, filtered: Tensor) -> Tensor:
        """(B, F, filter bins) with zeros up to (B, F, N / 2 + 1)."""
        return nn.functional.pad(filtered, (0, self.n_fft // 2 + 1 - self.harmonics.filter_bins))

    def pulses(
        self, pitch: Tensor, frame_mask: Tensor | None = None, anchor: Anchor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Pitch (B, F) float64 in cycles a hop to each frame's stretch of the pulse train (B, F, N), and the cycles
        (B, F) float64."""
        if anchor is None:
            anchor = Anchor(0, torch.zeros_like(pitch[:, 0]))
        frame = torch.tensor([anchor.frame], device=pitch.device)
        wave, cycles = self.wave(pitch, frame_mask, frame, anchor.cycles)
        return wave.unfold(1, self.n_fft, self.hop_length), cycles

    def wave(self, pitch: Tensor, frame_mask: Tensor | None, frame: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Pitch (B, F) float64 in cycles a hop, and the cycles `start` (B,) float64 at the centre of `frame` (1,), to
        the pulse train over all that the frames' windows see, (B, (F - 1) * hop + N), and the cycles (B, F)."""
        frames, reach = pitch.shape[1], self.reach
        knots = torch.arange(-reach, frames + reach, device=pitch.device).clamp(min=0, max=frames - 1)
        knots = knots.expand(pitch.shape[0], -1)
        if frame_mask is not None:  # past its last frame an item goes on at that frame's pitch
            knots = torch.minimum(knots, frame_mask.sum(dim=1, keepdim=True) - 1)
        pitch = pitch.gather(1, knots)  # (B, K)
        cycles = nn.functional.pad(((pitch[:, 1:] + pitch[:, :-1]) / 2).cumsum(dim=1), (1, 0))
        cycles = cycles + start[:, None] - cycles.index_select(1, frame + reach)
        cycles = cycles - cycles.floor()
        before, after = pitch[:, :-1, None], pitch[:, 1:, None]
        # The pitch is a straight line between the centres of frames, so that the phase is a parabola.
        phase = cycles[:, :-1, None] + self.places * (before + self.places / 2 * (after - before))
        wave = self._pulse(phase, torch.maximum(before, after)).flatten(1)
        cut = reach * self.hop_length - self.n_fft // 2
        return wave[:, cut : wave.shape[1] - cut], cycles[:, reach : reach + frames]

    def _pulse(self, phase: Tensor, pitch: Tensor) -> Tensor:
        """Phases (B, K - 1, H) in cycles, and the highest pitch of each stretch (B, K - 1, 1) in cycles a hop, to the
        sum of all cosines up to the highest harmonic's frequency (Dirichlet's kernel), float32."""
        pi, highest, level = self.numbers
        count = torch.floor(highest / pitch).clamp(min=1.0)
        turns = phase - torch.round(phase)  # in [-1/2, 1/2]
        half = torch.sin(pi * turns)
        peak = half.abs() < _PEAK
        many = torch.sin(pi * (2 * count + 1) * turns)
        kernel = torch.where(peak, 2 * count + 1, many / torch.where(peak, 1.0, half))
        return ((kernel - 1) / 2 * (level / torch.sqrt(count / 2))).float()


def harmonic_reach(config: CodecConfig) -> int:
    """Frames on each side whose pitch reaches into a frame's window."""
    return -(-(config.n_fft // 2) // config.hop_length)
