"""The decoder's pitch, learnt from the target's own periods.

Letters: B batch, S samples, F frames, N window, T lags, V pitches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import HarmonicConfig

WINDOW_S = 0.064
# A frame is voiced where its corrected autocorrelation has a peak of this height, and it is not nearly silent.
VOICED, RMS_FLOOR = 0.5, 2e-3
# An octave lower costs this much of the peak's height, so that a period is not taken for two (Boersma 1993).
OCTAVE_COST = 0.02
# Of so many peaks of a frame one is taken, for which pitch moves little: an octave from frame to frame costs this much.
CANDIDATES, JUMP_COST = 8, 0.2
SPREAD_CENTS = 25.0


class PitchLoss(nn.Module):
    """Cross-entropy of the harmonic source's logits against the pitch of the target, over voiced frames.

    The pitch is a high peak of each frame's autocorrelation, corrected for the window's, on the path that moves least
    (Boersma 1993); it is a Gaussian of 25 cents over the pitches. A mean over clips of the sum over voiced frames by
    the number of all frames.
    """

    window: Tensor
    own: Tensor
    pitches: Tensor

    def __init__(self, harmonics: HarmonicConfig, config: CodecConfig) -> None:
        super().__init__()
        hertz = harmonics.hertz()
        self.hop, self.rate = config.hop_length, config.sample_rate
        size = round(WINDOW_S * config.sample_rate / 2) * 2
        self.first = max(2, math.floor(config.sample_rate / float(hertz[-1])))
        self.last = min(size // 2, math.ceil(config.sample_rate / float(hertz[0])))
        window = torch.hann_window(size)
        own = torch.fft.irfft(torch.fft.rfft(window, 2 * size).abs().square())[: size // 2 + 2]
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("own", own / own[0], persistent=False)
        self.register_buffer("pitches", hertz.log2().float(), persistent=False)

    def forward(self, target: Tensor, logits: Tensor) -> Tensor:
        """Waves (B, F * hop) and logits (B, F, V) to a scalar."""
        with torch.no_grad():
            octaves, voiced = self.track(target)
            distances = (octaves[:, :, None] - self.pitches) * (1200 / SPREAD_CENTS)
            soft_pitch = torch.softmax(-distances.square() / 2, dim=2)
        entropy = -(soft_pitch * functional.log_softmax(logits.float(), dim=2)).sum(dim=2)
        return (entropy * voiced).mean()

    @torch.no_grad()
    def track(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Waves (B, F * hop) to log2 of each frame's pitch in Hz, (B, F), and whether it is voiced (B, F) bool."""
        size = len(self.window)
        around = (size - self.hop) // 2
        padded = functional.pad(waves.float(), (around, around))
        frames = padded.unfold(1, size, self.hop) * self.window
        raw = torch.fft.irfft(torch.fft.rfft(frames, 2 * size).abs().square())[:, :, : size // 2 + 2]
        loud = raw[:, :, 0] > RMS_FLOOR**2 * float(self.window.square().sum())
        heights = raw / (raw[:, :, :1].clamp_min(1e-9) * self.own)
        here = heights[:, :, self.first : self.last + 1]
        left, right = heights[:, :, self.first - 1 : self.last], heights[:, :, self.first + 1 : self.last + 2]
        lags = torch.arange(self.first, self.last + 1, device=waves.device)
        scores = torch.where((here >= left) & (here >= right), here - OCTAVE_COST * (lags / self.first).log2(), -1.0)
        scores, peaks = scores.topk(CANDIDATES, dim=2)
        choice = _smoothest(scores, -(peaks + self.first).log2())
        best, score = peaks.gather(2, choice), scores.gather(2, choice)[:, :, 0]
        height, before, after = (x.gather(2, best)[:, :, 0] for x in (here, left, right))
        # The top of the parabola through the peak and its neighbours.
        shift = (before - after) / (2 * (before - 2 * height + after)).clamp(max=-1e-6)
        lag = best[:, :, 0] + self.first + shift.clamp(-0.5, 0.5)
        return (self.rate / lag).log2(), (score > 0) & (height > VOICED) & loud


def _smoothest(scores: Tensor, octaves: Tensor) -> Tensor:
    """Scores and octaves (B, F, C) of each frame's candidates to the choices (B, F, 1) of the path whose scores, less
    JUMP_COST times the octaves that it moves, are largest (Viterbi)."""
    total, back = scores[:, 0], []
    for frame in range(1, scores.shape[1]):
        moved = (octaves[:, frame, :, None] - octaves[:, frame - 1, None, :]).abs()
        value, origin = (total[:, None, :] - JUMP_COST * moved).max(dim=2)
        total = value + scores[:, frame]
        back.append(origin)
    choices = [total.argmax(dim=1, keepdim=True)]
    for origin in reversed(back):
        choices.append(origin.gather(1, choices[-1]))
    return torch.stack(choices[::-1], dim=1)
