"""Reconstruction losses on waves, each 0 for equal waves and with finite gradients on silence.

Letters: B batch, S samples, K frequency bins, M mel bands, T analysis frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

MEL_SCALES = ((2048, 160), (1024, 120), (512, 80), (256, 40), (128, 20), (64, 10))
LOUDNESS_SCALES = ((1024, 80), (512, 64))
STFT_WINDOWS = (2048, 1024, 512)
FLOOR = 1e-5


@lru_cache(maxsize=64)
def _window(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)


def spectra(waves: Tensor, windows: Sequence[int]) -> dict[int, Tensor]:
    """STFTs of waves (B, S) by window: complex (B, K, T), Hann, hop = window / 4, centred with reflection."""
    return {
        size: torch.stft(
            waves, size, hop_length=size // 4, window=_window(size, waves.device), center=True, return_complex=True
        )
        for size in windows
    }


def magnitude(spectrum: Tensor) -> Tensor:
    """|X| with a gradient that stays finite at zero."""
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()


class MultiScaleMelLoss(nn.Module):
    """Mean over scales of L1 of log10(clamp(M, 1e-5)^2), M the Slaney mel magnitudes (DAC's, Codec-SUPERB's)."""

    def __init__(self, sample_rate: int, scales: Sequence[tuple[int, int]] = MEL_SCALES) -> None:
        super().__init__()
        import librosa

        self.scales = tuple(scales)
        for window, bands in self.scales:
            basis = librosa.filters.mel(sr=sample_rate, n_fft=window, n_mels=bands)
            self.register_buffer(f"basis_{window}", torch.from_numpy(basis), persistent=False)

    @property
    def windows(self) -> tuple[int, ...]:
        """The STFT windows that `forward` needs."""
        return tuple(window for window, _ in self.scales)

    def forward(self, target: Mapping[int, Tensor], estimate: Mapping[int, Tensor]) -> Tensor:
        """Spectra by window of target and estimate to a scalar."""
        losses = []
        for window in self.windows:
            wanted, got = (
                2.0 * torch.log10(self.bands(window, x[window]).clamp_min(FLOOR)) for x in (target, estimate)
            )
            losses.append((wanted - got).abs().mean())
        return torch.stack(losses).mean()

    def bands(self, window: int, spectrum: Tensor) -> Tensor:
        """Mel magnitudes (B, T, M) of a spectrum (B, K, T)."""
        # torch.stft lays frames out one after the other in memory, so this product is over contiguous rows.
        return magnitude(spectrum).transpose(1, 2) @ getattr(self, f"basis_{window}").t()


class LoudnessLoss(nn.Module):
    """Mean over scales and clips of sum |sqrt(M) - sqrt(M')| over sum sqrt(M), M the target's mel magnitudes.

    Loudness grows about as intensity to the 0.23 (Zwicker, as in PESQ), nearly the root of the magnitude: unlike a
    log-mel distance, this one weighs what is heard above what is faint. A clip's level does not matter.
    """

    def __init__(self, sample_rate: int, scales: Sequence[tuple[int, int]] = LOUDNESS_SCALES) -> None:
        super().__init__()
        self.mel = MultiScaleMelLoss(sample_rate, scales)
        self.windows = self.mel.windows

    def forward(self, target: Mapping[int, Tensor], estimate: Mapping[int, Tensor]) -> Tensor:
        """Spectra by window of target and estimate to a scalar."""
        losses = []
        for window in self.windows:
            wanted, got = (self.mel.bands(window, x[window]).clamp_min(FLOOR).sqrt() for x in (target, estimate))
            size = wanted.sum(dim=(1, 2))
            # A clip as faint as the floor counts by the batch's mean, or its noise would outweigh the others' speech.
            size = torch.maximum(size, 0.1 * size.mean())
            losses.append(((wanted - got).abs().sum(dim=(1, 2)) / size).mean())
        return torch.stack(losses).mean()


class MultiResolutionSTFTLoss(nn.Module):
    """Mean over windows of spectral convergence plus L1 of log-magnitudes (Parallel WaveGAN)."""

    def __init__(self, windows: Sequence[int] = STFT_WINDOWS) -> None:
        super().__init__()
        self.windows = tuple(windows)

    def forward(self, target: Mapping[int, Tensor], estimate: Mapping[int, Tensor]) -> Tensor:
        """Spectra by window of target and estimate to a scalar."""
        losses = []
        for window in self.windows:
            wanted, got = magnitude(target[window]), magnitude(estimate[window])
            # Over the whole batch, so that a nearly silent clip does not outweigh the others.
            convergence = torch.linalg.vector_norm(wanted - got) / torch.linalg.vector_norm(wanted).clamp_min(1e-2)
            logarithmic = (wanted.clamp_min(FLOOR).log() - got.clamp_min(FLOOR).log()).abs().mean()
            losses.append(convergence + logarithmic)
        return torch.stack(losses).mean()


class PhaseLoss(nn.Module):
    """Mean over windows of |u - v|, u and v the unit phasors, weighted by the target's share of each clip's magnitude.

    The weight keeps bins without energy, whose phase says nothing, out of the loss.
    """

    def __init__(self, windows: Sequence[int] = STFT_WINDOWS) -> None:
        super().__init__()
        self.windows = tuple(windows)

    def forward(self, target: Mapping[int, Tensor], estimate: Mapping[int, Tensor]) -> Tensor:
        """Spectra by window of target and estimate to a scalar in [0, 2]."""
        losses = []
        for window in self.windows:
            wanted, got = target[window], estimate[window]
            size = magnitude(wanted)
            # The floor bounds the gradient where a bin holds next to nothing.
            difference = wanted / size.clamp_min(1e-3) - got / magnitude(got).clamp_min(1e-3)
            weight = size / size.sum(dim=(1, 2), keepdim=True)
            losses.append((weight * magnitude(difference)).sum(dim=(1, 2)).mean())
        return torch.stack(losses).mean()
