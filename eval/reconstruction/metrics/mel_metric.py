"""Multi-scale mel distance, as Codec-SUPERB computes it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.sparse

from eval.reconstruction.metrics.metric import Metric, Score, Signal
from eval.reconstruction.metrics.spectral import Spectrogram, distance, spectrogram, too_short

NEEDS = ("librosa",)
SCALES = ((150, 2048), (80, 512))  # (mel bands, window in samples)


@functools.cache
def basis(rate: int, window: int, bands: int) -> Any:
    """Bins to bands, float32 (window // 2 + 1, bands); sparse, for no bin is in more than two bands."""
    import librosa.filters

    weights = librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands, fmin=0.0, fmax=rate / 2)
    return scipy.sparse.csc_array(weights.T.astype(np.float32))


def _mel(signal: Signal, window: int, bands: int) -> Spectrogram:
    weights = basis(signal.rate, window, bands)
    return spectrogram(signal, ("mel", window, bands), lambda: signal.magnitude(window) @ weights)


def compute(reference: Signal, estimate: Signal) -> Score:
    """The distance over both scales, or the reason why there is none."""
    short = too_short(reference, max(window for _, window in SCALES))
    if short:
        return short
    scales = ((_mel(reference, window, bands), _mel(estimate, window, bands)) for bands, window in SCALES)
    return Score.of(sum(distance(clean, made) for clean, made in scales))


METRIC = Metric(
    name="mel",
    definition=(
        "sum over (150 bands, window 2048) and (80 bands, window 512) of L1(log10(max(M, 1e-5)^2)) + L1(M), where M is "
        "|STFT| (periodic Hann, hop window/4, centred, reflect) times librosa's Slaney mel basis from 0 to rate/2, at "
        "the reference's rate"
    ),
    unit="1",
    direction="lower",
    value_range=(0.0, None),
    source="Codec-SUPERB (MelSpectrogramLoss with windows 2048 and 512)",
    version=1,
    compute=compute,
    needs=NEEDS,
)
