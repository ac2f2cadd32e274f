"""Reconstruction losses on waves, a file per idea, all on spectra that are computed once (`spectra`).

Each is 0 for equal waves, has finite gradients on silence, and is a mean over clips of what each clip costs by itself:
no clip's loss depends on its batch, so that the mean over equal shards of a batch is the loss of the batch.
"""

from soundcodec_llmcodec.train.losses.loudness_loss import LoudnessLoss
from soundcodec_llmcodec.train.losses.mel_losses import LogMelLoss, MultiScaleMelLoss, PublishedMelLoss
from soundcodec_llmcodec.train.losses.phase_loss import PhaseLoss
from soundcodec_llmcodec.train.losses.relative_error import relative_error
from soundcodec_llmcodec.train.losses.shared_spectra import Resolution, Spectra, magnitude, resolution, spectra
from soundcodec_llmcodec.train.losses.stft_losses import ComplexSTFTLoss, MultiResolutionSTFTLoss

__all__ = [
    "ComplexSTFTLoss",
    "LogMelLoss",
    "LoudnessLoss",
    "MultiResolutionSTFTLoss",
    "MultiScaleMelLoss",
    "PhaseLoss",
    "PublishedMelLoss",
    "Resolution",
    "Spectra",
    "magnitude",
    "relative_error",
    "resolution",
    "spectra",
]
