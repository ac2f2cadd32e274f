"""Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019, SDR - half-baked or well done?)."""

from __future__ import annotations

import math

import numpy as np

LIMIT_DB = 100.0


def centred(samples: np.ndarray) -> np.ndarray:
    """Samples in float64 (S,), their mean taken off."""
    return samples.astype(np.float64) - samples.mean(dtype=np.float64)


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """The ratio of two signals (S,) in dB, neither of which may be constant: `centred_ratio` of them."""
    return centred_ratio(centred(reference), centred(estimate))


def centred_ratio(reference: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10(|t|^2 / |e - t|^2) in dB, t the part of the estimate e that is the reference, scaled; both of mean 0.

    Cut to -LIMIT_DB..LIMIT_DB, which stand for orthogonal and for equal signals as well.
    """
    target = (np.sum(estimate * reference) / np.sum(reference * reference)) * reference
    signal, distortion = np.sum(np.square(target)), np.sum(np.square(estimate - target))
    if distortion == 0:
        return LIMIT_DB
    if signal == 0:
        return -LIMIT_DB
    return float(np.clip(10 * math.log10(signal / distortion), -LIMIT_DB, LIMIT_DB))
