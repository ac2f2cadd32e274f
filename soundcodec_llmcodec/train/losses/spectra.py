"""STFTs of a batch of waves, computed once for all losses.

Letters: B batch, S samples, K frequency bins, T analysis frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

Resolution = tuple[int, int]  # (window, hop), in samples


@dataclass(frozen=True)
class Spectra:
    """Complex STFTs (B, K, T) of waves by (window, hop), and the waves' mean squares (B,).

    `spectra[window]` is short for `spectra[window, window // 4]`.
    """

    by_resolution: Mapping[Resolution, Tensor]
    power: Tensor
    _magnitudes: dict[Resolution, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getitem__(self, key: int | Resolution) -> Tensor:
        """Raises KeyError where that resolution was not computed."""
        wanted = resolution(key)
        if wanted not in self.by_resolution:
            raise KeyError(f"no spectrum with (window, hop) {wanted}; there are {sorted(self.by_resolution)}")
        return self.by_resolution[wanted]

    def magnitude(self, key: int | Resolution) -> Tensor:
        """|X| (B, K, T), computed when first asked for and then shared by the losses."""
        wanted = resolution(key)
        if wanted in self._magnitudes:
            return self._magnitudes[wanted]
        sizes = magnitude(self[wanted])
        if sizes.requires_grad == self[wanted].requires_grad:  # not where a look under no_grad would cut gradients off
            self._magnitudes[wanted] = sizes
        return sizes


def resolution(key: int | Resolution) -> Resolution:
    """(window, hop); a window alone has a hop of a quarter."""
    return key if isinstance(key, tuple) else (key, key // 4)


def spectra(waves: Tensor, windows: Sequence[int | Resolution]) -> Spectra:
    """STFTs of waves (B, S) at each window or (window, hop): periodic Hann, centred with reflection.

    Raises ValueError where the waves are no longer than half of a window, which the reflection needs.
    """
    wanted = [resolution(key) for key in windows]
    shortest = max((window // 2 + 1 for window, _ in wanted), default=0)
    if waves.dim() != 2 or waves.shape[1] < shortest:
        raise ValueError(
            f"expected waves (clips, samples) of at least {shortest} samples for the windows {wanted}, "
            f"got a shape of {tuple(waves.shape)}; use longer segments or smaller windows"
        )
    waves = waves.float()
    found = {
        (window, hop): torch.stft(
            waves, window, hop_length=hop, window=_hann(window, waves.device), center=True, return_complex=True
        )
        for window, hop in wanted
    }
    return Spectra(found, waves.square().mean(dim=1))


def magnitude(spectrum: Tensor) -> Tensor:
    """|X| with a gradient that stays finite at zero."""
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()


@lru_cache(maxsize=64)
def _hann(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)
