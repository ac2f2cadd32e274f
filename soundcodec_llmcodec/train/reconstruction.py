"""The reconstruction losses that a run counts, on spectra that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from soundcodec_llmcodec.train.losses import (
    ComplexSTFTLoss,
    LogMelLoss,
    LoudnessLoss,
    MultiResolutionSTFTLoss,
    MultiScaleMelLoss,
    PhaseLoss,
    PublishedMelLoss,
    resolution,
    spectra,
)

# Sample rate to a module with `windows` and `forward(target spectra, estimate spectra)`.
KINDS: dict[str, Callable[[int], Any]] = {
    "mel": MultiScaleMelLoss,
    "log_mel": LogMelLoss,
    "scale_mel": PublishedMelLoss,
    "loudness": LoudnessLoss,
    "stft": lambda sample_rate: MultiResolutionSTFTLoss(),
    "complex_stft": lambda sample_rate: ComplexSTFTLoss(),
    "phase": lambda sample_rate: PhaseLoss(),
}


class ReconstructionLosses(nn.Module):
    """The losses of these names (of KINDS; others are left out), on spectra that are computed once."""

    def __init__(self, sample_rate: int, names: Iterable[str]) -> None:
        super().__init__()
        made = {name: KINDS[name](sample_rate) for name in names if name in KINDS}
        self.windows = tuple(dict.fromkeys(resolution(key) for part in made.values() for key in part.windows))
        self.parts = nn.ModuleDict(made)

    def forward(self, target: Tensor, estimate: Tensor) -> dict[str, Tensor]:
        """Waves (B, S) to unweighted losses by name."""
        wanted, got = spectra(target, self.windows), spectra(estimate, self.windows)
        return {name: part(wanted, got) for name, part in self.parts.items()}
