"""Between a clip's rate and a codec's: the only place where the codecs to compare are resampled, padded and cut."""

from __future__ import annotations

import numpy as np

from eval.harness.clips import CorpusClip
from eval.harness.model_specs import ReconstructionError


def to_rate(clip: CorpusClip, rate: int) -> np.ndarray:
    """The clip's samples at `rate` Hz: a new float32 array (S,). Raises ReconstructionError for an empty clip."""
    from soundcodec_llmcodec.audio import resample

    if not len(clip.samples):
        raise ReconstructionError(f"the clip {clip.clip_id!r} is empty")
    return resample(clip.samples, clip.rate, rate)


def to_clip(samples: np.ndarray, rate: int, clip: CorpusClip) -> np.ndarray:
    """Samples (S',) at `rate` Hz as float32 (S,) of the clip's rate and exact length, zero-padded or cut at the end.

    Raises ReconstructionError for what is not one channel of samples.
    """
    from soundcodec_llmcodec.audio import fit_length, resample

    if samples.ndim != 1 or not len(samples):
        raise ReconstructionError(f"expected samples of one channel, got an array of shape {samples.shape}")
    fitted = fit_length(resample(samples, rate, clip.rate), len(clip.samples))
    return np.ascontiguousarray(fitted, dtype=np.float32)
