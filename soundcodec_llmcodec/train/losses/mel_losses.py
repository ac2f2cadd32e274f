"""L1 between logarithms of mel spectra, in three published forms.

Letters: B batch, K frequency bins, M mel bands, T analysis frames.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train.losses.shared_spectra import Resolution, Spectra, resolution

MEL_SCALES = ((2048, 160), (1024, 120), (512, 80), (256, 40), (128, 20), (64, 10))
LOG_MEL_SCALE = ((1024, 320), 100)
PUBLISHED_SCALES = ((512, 80), (1024, 80), (2048, 80))
MAGNITUDE_FLOOR = 1e-5
POWER_OFFSET = 1e-5
# Clips below -60 dBFS are not brought to the level of others: that would make music of their noise.
RMS_FLOOR = 1e-3


class MultiScaleMelLoss(nn.Module):
    """Mean over scales of L1 of log10(clamp(M, 1e-5)^2), M the Slaney mel magnitudes (DAC's, Codec-SUPERB's)."""

    def __init__(self, sample_rate: int, scales: Sequence[tuple[int, int]] = MEL_SCALES) -> None:
        super().__init__()
        import librosa

        self.windows = tuple(resolution(window) for window, _ in scales)
        for window, bands in scales:
            basis = librosa.filters.mel(sr=sample_rate, n_fft=window, n_mels=bands)
            self.register_buffer(f"basis_{window}", torch.from_numpy(basis), persistent=False)

    def forward(self, target: Spectra, estimate: Spectra, windows: Sequence[Resolution] | None = None) -> Tensor:
        """Spectra of target and estimate to a scalar, at some of its windows (None: at all)."""
        losses = []
        for key in self.windows if windows is None else windows:
            x, y = (
                2.0 * torch.log10(self.bands(key, waves).clamp_min(MAGNITUDE_FLOOR)) for waves in (target, estimate)
            )
            losses.append((x - y).abs().mean())
        return torch.stack(losses).mean()

    def bands(self, key: Resolution, waves: Spectra) -> Tensor:
        """Mel magnitudes (B, T, M)."""
        # torch.stft lays frames out one after the other in memory, so this product is over contiguous rows.
        return waves.magnitude(key).transpose(1, 2) @ getattr(self, f"basis_{key[0]}").t()


class _PowerMelLoss(nn.Module):
    """Mean over scales of L1 of ln(M + 1e-5), M the power in HTK mel bands (triangles of height 1, torchaudio's)."""

    def __init__(self, sample_rate: int, scales: Sequence[tuple[int | Resolution, int]], by_rms: bool) -> None:
        super().__init__()
        import librosa

        self.by_rms = by_rms
        self.windows = tuple(resolution(key) for key, _ in scales)
        for (window, hop), (_, bands) in zip(self.windows, scales, strict=True):
            with warnings.catch_warnings():
                # At small windows the lowest bands lie between two bins: empty in both waves, they cost nothing.
                warnings.filterwarnings("ignore", "Empty filters detected")
                basis = librosa.filters.mel(sr=sample_rate, n_fft=window, n_mels=bands, htk=True, norm=None)
            self.register_buffer(f"basis_{window}_{hop}", torch.from_numpy(basis), persistent=False)

    def forward(self, target: Spectra, estimate: Spectra, windows: Sequence[Resolution] | None = None) -> Tensor:
        """Spectra of target and estimate to a scalar, at some of its windows (None: at all)."""
        keys = self.windows if windows is None else windows
        losses = [(self._log_bands(key, target) - self._log_bands(key, estimate)).abs().mean() for key in keys]
        return torch.stack(losses).mean()

    def _log_bands(self, key: Resolution, waves: Spectra) -> Tensor:
        power = waves[key].real.square() + waves[key].imag.square()
        bands = power.transpose(1, 2) @ getattr(self, f"basis_{key[0]}_{key[1]}").t()
        if self.by_rms:
            bands = bands / waves.power.clamp_min(RMS_FLOOR**2)[:, None, None]
        return (bands + POWER_OFFSET).log()


class LogMelLoss(_PowerMelLoss):
    """L1 of ln(M + 1e-5), M the power in 100 mel bands of each wave brought to an RMS of 1 (LLM-Codec's main loss).

    Target and estimate are brought there each by its own RMS, so a wrong level costs nothing: the other losses see it.
    Waves below -60 dBFS are raised as if they were at -60 dBFS.
    """

    def __init__(self, sample_rate: int, scale: tuple[Resolution, int] = LOG_MEL_SCALE) -> None:
        super().__init__(sample_rate, (scale,), by_rms=True)


class PublishedMelLoss(_PowerMelLoss):
    """Mean over windows of 512, 1024 and 2048 of L1 of ln(M + 1e-5), M the power in 80 mel bands (LLM-Codec's)."""

    def __init__(self, sample_rate: int, scales: Sequence[tuple[int, int]] = PUBLISHED_SCALES) -> None:
        super().__init__(sample_rate, scales, by_rms=False)
