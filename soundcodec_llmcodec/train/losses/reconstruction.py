"""The reconstruction losses that a run counts, on spectra that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train.losses import (
    ComplexSTFTLoss,
    LogMelLoss,
    LoudnessLoss,
    MultiResolutionSTFTLoss,
    MultiScaleMelLoss,
    PhaseLoss,
    PublishedMelLoss,
    Resolution,
    resolution,
    spectra,
)

# Sample rate to a module with `windows` and `forward(target spectra, estimate spectra, windows)`.
KINDS: dict[str, Callable[[int], Any]] = {
    "mel": MultiScaleMelLoss,
    "log_mel": LogMelLoss,
    "scale_mel": PublishedMelLoss,
    "loudness": LoudnessLoss,
    "stft": lambda sample_rate: MultiResolutionSTFTLoss(),
    "complex_stft": lambda sample_rate: ComplexSTFTLoss(),
    "phase": lambda sample_rate: PhaseLoss(),
}
Scales = Mapping[str, tuple[Resolution, ...]]  # the windows at which each loss counts


class ReconstructionLosses(nn.Module):
    """The losses of these names (of KINDS; others are left out), on spectra that are computed once."""

    def __init__(self, sample_rate: int, names: Iterable[str]) -> None:
        super().__init__()
        parts = {name: KINDS[name](sample_rate) for name in names if name in KINDS}
        self.scales: Scales = {name: tuple(resolution(key) for key in part.windows) for name, part in parts.items()}
        self.windows = tuple(dict.fromkeys(key for keys in self.scales.values() for key in keys))
        self.parts = nn.ModuleDict(parts)

    def forward(self, target: Tensor, estimate: Tensor, scales: Scales | None = None) -> dict[str, Tensor]:
        """Waves (B, S) to unweighted losses by name, each at those of its windows that `scales` has (None: at all)."""
        scales = self.scales if scales is None else scales
        windows = tuple(dict.fromkeys(key for keys in scales.values() for key in keys))
        of_target, of_estimate = spectra(target, windows), spectra(estimate, windows)
        return {name: part(of_target, of_estimate, scales[name]) for name, part in self.parts.items()}

    def drawn(self, share: float, generator: torch.Generator) -> Scales:
        """About `share` of each loss's windows, at least one, drawn at random; a share of 1 is all, and draws nothing.

        All windows are put in one random order, and each loss takes the first of its own: any set of that size is as
        likely as another, so that the loss, a mean over them, is on average the mean over all, while losses meet at
        the same windows and few spectra have to be computed.
        """
        if share >= 1:
            return self.scales
        order = [self.windows[i] for i in torch.randperm(len(self.windows), generator=generator).tolist()]
        return {
            name: tuple(key for key in order if key in keys)[: max(1, round(share * len(keys)))]
            for name, keys in self.scales.items()
        }
