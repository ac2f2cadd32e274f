"""Samples to spectral features and back: the codec's first and last layer.

Letters: B batch, S samples, F frames, D features, N n_fft.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import MagnitudeConfig
from soundcodec_llmcodec.nn.harmonics import Harmonics
from soundcodec_llmcodec.nn.linear import linear
from soundcodec_llmcodec.nn.mel import mel_filters

LOG_FLOOR = 1e-5
MAGNITUDE_FLOOR = 1e-4
MAX_MAGNITUDE = 1e2


class STFT(nn.Module):
    """Log-magnitude and phase of a periodic-Hann STFT over samples that are already padded."""

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32))

    def forward(self, samples: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) float32 samples to (B, F, N + 2): log(|X| + 1e-5), then phase in radians."""
        spectrum = torch.stft(
            samples, self.n_fft, hop_length=self.hop_length, window=self.window, center=False, return_complex=True
        )
        log_magnitude = torch.log(spectrum.abs() + LOG_FLOOR)
        return torch.cat((log_magnitude, spectrum.angle()), dim=1).transpose(1, 2)


class STFTHead(nn.Module):
    """Padded samples to the encoder's input features."""

    def __init__(self, dim: int, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.stft = STFT(n_fft, hop_length)
        self.inp = nn.Linear(n_fft + 2, dim)

    def forward(self, samples: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) padded samples to (B, F, D)."""
        with torch.autocast(samples.device.type, enabled=False):
            features = self.stft(samples.float())
        return linear(features, self.inp.weight, self.inp.bias)


class MagnitudeHead(nn.Module):
    """Padded samples to the encoder's input features, which follow from magnitudes alone.

    Mel bands of several short windows a frame show consonants, the low bins of the codec's long window pitch. A wave of
    the other polarity has the same features.
    """

    filters: Tensor
    window: Tensor
    long_window: Tensor

    def __init__(self, config: CodecConfig, magnitudes: MagnitudeConfig) -> None:
        super().__init__()
        self.magnitudes = magnitudes
        self.n_fft, self.hop_length = config.n_fft, config.hop_length
        self.per_frame = config.hop_length // magnitudes.hop
        # The first short window is centred half a short hop after its frame's own first sample.
        self.first = config.stft_padding - (magnitudes.window - magnitudes.hop) // 2
        self.register_buffer(
            "filters", mel_filters(config.sample_rate, magnitudes.window, magnitudes.bands), persistent=False
        )
        self.register_buffer(
            "window", torch.hann_window(magnitudes.window, dtype=torch.float32, device="cpu"), persistent=False
        )
        self.register_buffer(
            "long_window", torch.hann_window(config.n_fft, dtype=torch.float32, device="cpu"), persistent=False
        )
        self.inp = nn.Linear(self.per_frame * magnitudes.bands + magnitudes.low_bins, config.hidden_size)

    def forward(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) padded samples to (B, F, D)."""
        with torch.autocast(padded.device.type, enabled=False):
            features = self.features(padded.float())
        return linear(features, self.inp.weight, self.inp.bias)

    def features(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) float32 to (B, F, bands of each short window, then low bins): scaled ln magnitudes."""
        frames = (padded.shape[1] - self.n_fft) // self.hop_length + 1
        hop, size = self.magnitudes.hop, self.magnitudes.window
        stop = self.first + (frames * self.per_frame - 1) * hop + size
        short = _magnitudes(padded[:, self.first : stop], self.window, hop)
        bands = linear(short, self.filters).unflatten(1, (frames, self.per_frame)).flatten(2)
        low = _magnitudes(padded, self.long_window, self.hop_length)[:, :, : self.magnitudes.low_bins]
        return scaled_logarithms(torch.cat((bands, low), dim=2))


def scaled_logarithms(magnitudes: Tensor) -> Tensor:
    """ln of magnitudes, brought to about zero mean and unit variance for speech."""
    return ((magnitudes + MAGNITUDE_FLOOR).log() + 4.0) / 3.0


class ISTFT(nn.Module):
    """Overlap-add inverse STFT with 'same' padding: F frames give exactly F * hop samples."""

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32))

    def forward(self, spectrum: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, F, N / 2 + 1) complex to (B, F * hop) float32.

        `frame_mask` (B, F) bool marks an item's own frames: the others add nothing, and the window's envelope counts
        an item's own frames only, so that a padded item ends just as it would alone.
        """
        frames = torch.fft.irfft(spectrum, self.n_fft, dim=2) * self.window
        envelope = self.window.square().expand_as(frames)
        if frame_mask is not None:
            frames = frames * frame_mask[:, :, None]
            envelope = envelope * frame_mask[:, :, None]
        else:
            envelope = envelope[:1]
        total = self._overlap_add(envelope)
        # Past an item's last frame both sums are zero; the clamp only keeps 0 / 0 out.
        return self._overlap_add(frames) / total.clamp_min(1e-11)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """(B, F, N) to (B, F * hop), cut to the 'same' samples."""
        length = (frames.shape[1] - 1) * self.hop_length + self.n_fft
        added = functional.fold(
            frames.transpose(1, 2),
            output_size=(1, length),
            kernel_size=(1, self.n_fft),
            stride=(1, self.hop_length),
        )[:, 0, 0]
        padding = (self.n_fft - self.hop_length) // 2
        return added[:, padding : length - padding]


class ISTFTHead(nn.Module):
    """Decoder features to samples."""

    def __init__(self, dim: int, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, n_fft + 2)
        self.istft = ISTFT(n_fft, hop_length)

    def forward(self, features: Tensor, frame_mask: Tensor | None = None, harmonics: Harmonics | None = None) -> Tensor:
        """(B, F, D) to (B, F * hop) float32 samples; magnitudes are clipped at 100. A harmonic source takes its share
        of each magnitude."""
        with torch.autocast(features.device.type, enabled=False):
            # In float32 whatever the conformer ran in: a phase in bfloat16 is off by up to 0.01 radians.
            log_magnitude, phase = linear(features.float(), self.out.weight, self.out.bias).chunk(2, dim=2)
            magnitude = torch.exp(log_magnitude).clamp(max=MAX_MAGNITUDE)
            if harmonics is None:
                return self.istft(torch.polar(magnitude, phase), frame_mask)
            own = torch.polar(magnitude * (1 - harmonics.share), phase)
            return self.istft(own + magnitude * harmonics.share * harmonics.phasors, frame_mask)


def _magnitudes(samples: Tensor, window: Tensor, hop: int) -> Tensor:
    """(B, S) to |X| (B, T, K) of the windows that lie wholly within."""
    spectrum = torch.stft(samples, len(window), hop_length=hop, window=window, center=False, return_complex=True)
    if torch.is_grad_enabled() and samples.requires_grad:
        return spectrum.abs().transpose(1, 2)
    # In a third of the time that the overflow-proof abs of complex numbers takes.
    return (spectrum.real.square() + spectrum.imag.square()).sqrt().transpose(1, 2)
