"""STFTs of a batch of waves, computed once for all losses.

Letters: B batch, S samples, K frequency bins, T analysis frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Resolution = tuple[int, int]  # (window, hop), in samples
SQUARE_FLOOR = 1e-12


@dataclass(frozen=True)
class Spectra:
    """Complex STFTs (B, K, T) of waves by (window, hop), and the waves' mean squares (B,).

    `spectra[window]` is short for `spectra[window, window // 4]`. Each is computed when first asked for, magnitudes by
    themselves: most losses need no more, and without the complex gradient they cost a third.
    """

    waves: Tensor
    resolutions: tuple[Resolution, ...]
    power: Tensor
    _complex: dict[Resolution, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)
    _magnitudes: dict[Resolution, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, by_resolution: Mapping[Resolution, Tensor], power: Tensor) -> Spectra:
        """Those of waves that are not there."""
        spectra = cls(torch.empty(0), tuple(by_resolution), power)
        spectra._complex.update(by_resolution)
        spectra._magnitudes.update({key: magnitude(spectrum) for key, spectrum in by_resolution.items()})
        return spectra

    def __getitem__(self, key: int | Resolution) -> Tensor:
        """Raises KeyError where that resolution was not asked for."""
        return self._once(self._complex, key, _stft)

    def magnitude(self, key: int | Resolution) -> Tensor:
        """|X| (B, K, T) with a gradient that stays finite at zero."""
        return self._once(self._magnitudes, key, stft_magnitude)

    def _once(
        self, cache: dict[Resolution, Tensor], key: int | Resolution, compute: Callable[[Tensor, int, int], Tensor]
    ) -> Tensor:
        size = resolution(key)
        if size not in self.resolutions:
            raise KeyError(f"no spectrum with (window, hop) {size}; there are {sorted(self.resolutions)}")
        if size in cache:
            return cache[size]
        values = compute(self.waves, *size)
        if values.requires_grad == self.waves.requires_grad:  # not where a look under no_grad would cut gradients off
            cache[size] = values
        return values


def resolution(key: int | Resolution) -> Resolution:
    """(window, hop); a window alone has a hop of a quarter."""
    return key if isinstance(key, tuple) else (key, key // 4)


def spectra(waves: Tensor, windows: Sequence[int | Resolution]) -> Spectra:
    """STFTs of waves (B, S) at each window or (window, hop): periodic Hann, centred with reflection.

    Raises ValueError where the waves are no longer than half of a window, which the reflection needs.
    """
    resolutions = [resolution(key) for key in windows]
    shortest = max((window // 2 + 1 for window, _ in resolutions), default=0)
    if waves.dim() != 2 or waves.shape[1] < shortest:
        raise ValueError(
            f"expected waves (clips, samples) of at least {shortest} samples for the windows {resolutions}, "
            f"got a shape of {tuple(waves.shape)}; use longer segments or smaller windows"
        )
    waves = waves.float()
    return Spectra(waves, tuple(resolutions), waves.square().mean(dim=1))


def stft_magnitude(waves: Tensor, window: int, hop: int) -> Tensor:
    """|X| (B, K, T) of waves (B, S): periodic Hann, centred with reflection, with a gradient that is finite at zero."""
    magnitudes: Tensor = _Magnitude.apply(waves, _hann(window, waves.device), hop)
    return magnitudes.transpose(1, 2)


class _Magnitude(torch.autograd.Function):
    """The magnitude of an STFT with its gradient as one inverse transform."""

    @staticmethod
    def forward(ctx: Any, waves: Tensor, window: Tensor, hop: int) -> Tensor:
        """Waves (B, S) to (B, T, K)."""
        size = len(window)
        padded = functional.pad(waves[:, None], (size // 2, size // 2), mode="reflect")[:, 0]
        spectrum = torch.view_as_real(torch.fft.rfft(padded.unfold(1, size, hop) * window))
        real, imaginary = spectrum.unbind(dim=3)
        magnitudes = (real.square() + imaginary.square()).add_(SQUARE_FLOOR).sqrt_()
        ctx.save_for_backward(spectrum, magnitudes, window)
        ctx.hop, ctx.samples = hop, waves.shape[1]
        return magnitudes

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient at |X| (B, T, K) to that at the waves (B, S)."""
        spectrum, magnitudes, window = ctx.saved_tensors
        size, half = len(window), len(window) // 2
        ratios = gradient / magnitudes
        # An inverse real transform counts each bin but the first and the last twice, for its mirror image.
        ratios[:, :, 1 : (size + 1) // 2] *= 0.5
        slopes = torch.empty_like(spectrum)
        for part in range(2):
            torch.mul(spectrum[..., part], ratios, out=slopes[..., part])
        frames = torch.fft.irfft(torch.view_as_complex(slopes), n=size, norm="forward") * window
        padded = _overlap_add(frames, ctx.hop, ctx.samples + 2 * half)
        inner = padded[:, half : half + ctx.samples].clone()
        # What was reflected at either end goes back to where it came from.
        inner[:, 1 : half + 1] += padded[:, :half].flip(1)
        inner[:, -half - 1 : -1] += padded[:, half + ctx.samples :].flip(1)
        return inner, None, None


def _overlap_add(frames: Tensor, hop: int, length: int) -> Tensor:
    """Frames (B, T, N) added up at every hop: (B, length)."""
    batch, count, size = frames.shape
    pieces = -(-size // hop)
    frames = functional.pad(frames, (0, pieces * hop - size)).view(batch, count, pieces, hop)
    rows = frames.new_zeros(batch, max(count + pieces - 1, -(-length // hop)), hop)
    for piece in range(pieces):
        rows[:, piece : piece + count] += frames[:, :, piece]
    return rows.flatten(1)[:, :length]


def _stft(waves: Tensor, window: int, hop: int) -> Tensor:
    return torch.stft(
        waves, window, hop_length=hop, window=_hann(window, waves.device), center=True, return_complex=True
    )


def magnitude(spectrum: Tensor) -> Tensor:
    """|X| with a gradient that stays finite at zero."""
    return (spectrum.real.square() + spectrum.imag.square() + SQUARE_FLOOR).sqrt()


@lru_cache(maxsize=64)
def _hann(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)
