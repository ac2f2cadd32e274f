"""The codec's STFT and its inverse as products of real matrices: graph formats have no complex numbers.

A transform of N = N1 * N2 points goes in two steps (Cooley and Tukey, 1965): over N1 points, then over N2, with the
turns between them folded into the second step's matrices. That costs a tenth of one N by N product, and it rounds
about as little as the fast transform that the model itself uses.

Letters: B batch, F frames, N n_fft, R hops a frame spans, K bins kept of the first step (N1 // 2 + 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.nn.stft import ISTFT, LOG_FLOOR, MAX_MAGNITUDE, STFT, MagnitudeHead, scaled_logarithms


def factors(n: int) -> tuple[int, int]:
    """(N1, N2) with N1 * N2 == n, N1 <= N2, as near to each other as n allows."""
    first = next(divisor for divisor in range(math.isqrt(n), 0, -1) if n % divisor == 0)
    return first, n // first


class ForwardTransform(nn.Module):
    """Bins 0 ... N / 2 of the discrete Fourier transform of real frames (N even)."""

    first: Tensor
    second: Tensor
    order: Tensor
    sign: Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.n1, self.n2 = factors(n_fft)
        n_bins = self.n1 // 2 + 1
        cos, sin = _turns(torch.arange(n_bins)[:, None] * torch.arange(self.n1), self.n1)
        self.register_buffer("first", torch.stack((cos, -sin), dim=1).flatten(0, 1).t().float())  # (N1, 2 K)
        self.register_buffer("second", _second_step(n_fft, self.n1, self.n2, inverse=False).float())
        # Bin k of k1 = k mod N1 stands at (k1, k // N1); a k1 that was not kept is the conjugate of bin N - k.
        bins = torch.arange(n_fft // 2 + 1)
        k1, k2 = bins % self.n1, bins // self.n1
        direct = k1 < n_bins
        row = torch.where(direct, k1, self.n1 - k1)
        column = torch.where(direct, k2, self.n2 - 1 - k2)
        place = row * 2 * self.n2 + column
        self.register_buffer("order", torch.cat((place, place + self.n2)))
        self.register_buffer("sign", torch.where(direct, 1.0, -1.0))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, N) to the real and the imaginary parts, (B, F, N / 2 + 1) each."""
        batch, count, _ = frames.shape
        columns = frames.reshape(batch * count, self.n1, self.n2).transpose(1, 2)
        rows = (columns @ self.first).reshape(batch * count, self.n2, -1, 2)
        rows = rows.permute(2, 0, 3, 1).reshape(-1, batch * count, 2 * self.n2)  # (K, B F, 2 N2)
        mixed = torch.bmm(rows, self.second).transpose(0, 1).reshape(batch, count, -1)
        real, imaginary = mixed[:, :, self.order].chunk(2, dim=2)
        return real, imaginary * self.sign


class InverseTransform(nn.Module):
    """Real frames from bins 0 ... N / 2 (N even); the imaginary parts of the first and last bin do not count."""

    first: Tensor
    second: Tensor
    order: Tensor
    sign: Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.n1, self.n2 = factors(n_fft)
        n_bins = self.n1 // 2 + 1
        k1 = torch.arange(n_bins)
        bins = k1[:, None] + self.n1 * torch.arange(self.n2)  # (K, N2)
        mirrored = bins > n_fft // 2
        self.register_buffer("order", torch.where(mirrored, n_fft - bins, bins).flatten())
        self.register_buffer("sign", torch.where(mirrored, -1.0, 1.0).flatten())
        self.register_buffer("second", _second_step(n_fft, self.n1, self.n2, inverse=True).float())
        # Each kept row stands for its mirror image as well, unless the image is kept too (k1 = 0 and N1 / 2).
        weight = torch.where((k1 == 0) | (2 * k1 == self.n1), 1.0, 2.0).double() / n_fft
        cos, sin = _turns(torch.arange(self.n1)[:, None] * k1, self.n1)
        self.register_buffer("first", (torch.stack((cos, -sin), dim=2) * weight[:, None]).flatten(1).t().float())

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Parts (B, F, N / 2 + 1) to (B, F, N)."""
        batch, count, _ = real.shape
        real = real[:, :, self.order].reshape(batch * count, -1, self.n2)
        imaginary = (imaginary[:, :, self.order] * self.sign).reshape(batch * count, -1, self.n2)
        rows = torch.cat((real, imaginary), dim=2).transpose(0, 1)  # (K, B F, 2 N2)
        mixed = torch.bmm(rows, self.second).reshape(-1, batch * count, 2, self.n2)
        columns = mixed.permute(1, 3, 0, 2).reshape(batch * count, self.n2, -1)  # (B F, N2, 2 K)
        return (columns @ self.first).transpose(1, 2).reshape(batch, count, self.n_fft)


class Spectrum(nn.Module):
    """Log-magnitude and phase of a clip's frames, as the given STFT has them."""

    window: Tensor

    def __init__(self, stft: STFT) -> None:
        super().__init__()
        # The model's own window: a checkpoint of float16 holds a rounded one.
        self.register_buffer("window", stft.window)
        self.transform = ForwardTransform(stft.n_fft)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, F, N) samples that the frames see to (B, F, N + 2)."""
        real, imaginary = self.transform(frames * self.window)
        log_magnitude = torch.log(torch.sqrt(real * real + imaginary * imaginary) + LOG_FLOOR)
        return torch.cat((log_magnitude, angle(real, imaginary)), dim=2)


class Magnitudes(nn.Module):
    """|X| of `count` windows of each frame, the first `first` samples after the frame's first, `hop` samples apart."""

    window: Tensor

    def __init__(self, window: Tensor, first: int, hop: int, count: int) -> None:
        super().__init__()
        self.places = tuple(first + hop * index for index in range(count))
        self.register_buffer("window", window)
        self.transform = ForwardTransform(len(window))

    def forward(self, frames: Tensor) -> Tensor:
        """(B, F, N) samples to (B, F, count, bins)."""
        size = len(self.window)
        features = []
        for place in self.places:
            real, imaginary = self.transform(frames[:, :, place : place + size] * self.window)
            features.append(torch.sqrt(real * real + imaginary * imaginary))
        return torch.stack(features, dim=2)


class MagnitudeFeatures(nn.Module):
    """A clip's features as the given head has them."""

    filters: Tensor

    def __init__(self, head: MagnitudeHead) -> None:
        super().__init__()
        self.low_bins = head.magnitudes.low_bins
        self.register_buffer("filters", head.filters)
        self.short = Magnitudes(head.window, head.first, head.magnitudes.hop, head.per_frame)
        self.long = Magnitudes(head.long_window, 0, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, F, N) samples to (B, F, features)."""
        bands = (self.short(frames) @ self.filters.t()).flatten(2)
        return scaled_logarithms(torch.cat((bands, self.long(frames)[:, :, 0, : self.low_bins]), dim=2))


def frames_of(hops: Tensor, n_fft: int) -> Tensor:
    """(B, F + R - 1, hop) padded samples to those that each frame sees, (B, F, N)."""
    spans = -(-n_fft // hops.shape[2])
    count = hops.shape[1] - spans + 1
    return torch.cat([hops[:, shift : shift + count] for shift in range(spans)], dim=2)[:, :, :n_fft]


class Waveform(nn.Module):
    """Samples from log-magnitudes and phases, as nn.stft.ISTFTHead has them with the given inverse STFT."""

    window: Tensor
    envelope: Tensor

    def __init__(self, istft: ISTFT) -> None:
        super().__init__()
        self.n_fft = istft.n_fft
        self.hop_length = istft.hop_length
        self.spans = -(-istft.n_fft // istft.hop_length)
        self.register_buffer("window", istft.window)
        squared = nn.functional.pad(istft.window.square(), (0, self.spans * self.hop_length - self.n_fft))
        self.register_buffer("envelope", squared.reshape(self.spans, self.hop_length))
        self.transform = InverseTransform(istft.n_fft)

    def forward(
        self, spectrum: Tensor, frame_mask: Tensor, harmonics: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> Tensor:
        """(B, F, N + 2) to (B, F, hop); frames outside the mask (B, F) add nothing, samples past the last are 0.

        A harmonic source's share and phasors (real, imaginary), (B, F, N / 2 + 1) each, are as in the head.
        """
        log_magnitude, phase = spectrum.chunk(2, dim=2)
        magnitude = torch.exp(log_magnitude).clamp(max=MAX_MAGNITUDE)
        real, imaginary = magnitude * torch.cos(phase), magnitude * torch.sin(phase)
        if harmonics is not None:
            share, cos, sin = harmonics
            weighted = magnitude * share
            real, imaginary = real * (1 - share) + weighted * cos, imaginary * (1 - share) + weighted * sin
        frames = self.transform(real, imaginary) * self.window
        own = frame_mask[:, :, None].to(frames.dtype)
        frames = nn.functional.pad(frames * own, (0, self.spans * self.hop_length - self.n_fft))
        pieces = frames.split(self.hop_length, dim=2)
        added = sum(nn.functional.pad(piece, (0, 0, r, self.spans - 1 - r)) for r, piece in enumerate(pieces))
        shifted = torch.cat([nn.functional.pad(own, (0, 0, r, self.spans - 1 - r)) for r in range(self.spans)], dim=2)
        # Past an item's last frame both sums are zero; the clamp only keeps 0 / 0 out.
        hops = added / (shifted @ self.envelope).clamp(min=1e-11)  # (B, F + R - 1, hop), the padding before them
        count, padding = frame_mask.shape[1], (self.n_fft - self.hop_length) // 2
        whole, part = divmod(padding, self.hop_length)
        own_hops = hops[:, whole : whole + count, part:]
        if part:
            own_hops = torch.cat((own_hops, hops[:, whole + 1 : whole + 1 + count, :part]), dim=2)
        # An item's last frame reaches past its end.
        return own_hops * own


def angle(real: Tensor, imaginary: Tensor) -> Tensor:
    """The angle of a complex number in radians, from arctangents of one argument; 0 for 0, pi for negative reals."""
    zero = (real == 0) & (imaginary == 0)
    slope = torch.atan(imaginary / torch.where(zero, 1.0, real))
    turned = slope + torch.where(imaginary >= 0, math.pi, -math.pi)
    return torch.where(real < 0, turned, slope)


def _turns(steps: Tensor, points: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine (float64) of 2 pi steps / points for whole steps, exact at quarter turns."""
    steps = steps % points
    angles = steps.double() * (2 * math.pi / points)
    cos, sin = angles.cos(), angles.sin()
    cos[(4 * steps) % (2 * points) == points] = 0.0
    sin[(2 * steps) % points == 0] = 0.0
    return cos, sin


def _second_step(n_fft: int, n1: int, n2: int, inverse: bool) -> Tensor:
    """(K, 2 N2, 2 N2): for each kept k1 the step over N2 points with the turns by k1 * n2 / N before (or after) it.

    Rows are the parts (real, then imaginary) that come in, columns those that go out.
    """
    k1 = torch.arange(n1 // 2 + 1)[:, None, None]
    points, bins = torch.arange(n2)[:, None], torch.arange(n2)
    if inverse:
        # In: bin k2 (rows). Out: point n2 (columns).
        cos, sin = _turns(points * bins * n1 + k1 * bins, n_fft)
    else:
        # In: point n2 (rows). Out: bin k2 (columns).
        cos, sin = _turns(points * bins * n1 + k1 * points, n_fft)
        sin = -sin
    return torch.cat((torch.cat((cos, sin), dim=2), torch.cat((-sin, cos), dim=2)), dim=1)
