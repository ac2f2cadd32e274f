"""Mel-cepstral distortion: how far the spectral envelopes are apart, in dB."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from eval.reconstruction.metrics.spectral import too_short
from soundcodec_llmcodec.measures.mel_distance import FLOOR, mel_magnitude

RATE = 16_000
WINDOW, BANDS, COEFFICIENTS = 512, 40, 13
# Frames in which hardly anything is heard have an envelope that says nothing.
RANGE_DB = 40.0
_DB = 10 / math.log(10) * math.sqrt(2)


@dataclass(frozen=True)
class _Envelopes:
    """Mel cepstra float64 (F, COEFFICIENTS) without the level, and each frame's energy (F,)."""

    cepstra: np.ndarray
    energy: np.ndarray


def _envelopes(signal: Signal) -> _Envelopes:
    """Kept with the signal, which is at RATE."""

    def make() -> _Envelopes:
        magnitude = signal.magnitude(WINDOW)
        bands = mel_magnitude(magnitude, RATE, BANDS).astype(np.float64)
        # ln M of a band is a sum of c[d] cos(pi d (band + 1/2) / BANDS).
        cepstra = scipy.fft.dct(np.log(np.maximum(bands, FLOOR)), type=2, axis=1) / BANDS
        return _Envelopes(cepstra[:, 1 : COEFFICIENTS + 1], np.square(magnitude, dtype=np.float64).sum(axis=1))

    return signal.derived("mel cepstra", make)


def _at_rate(signal: Signal) -> Signal:
    if signal.rate == RATE:
        return signal
    return signal.derived("mel cepstra's rate", lambda: Signal(signal.at(RATE), RATE))


def _compute(reference: Signal, estimate: Signal) -> Score:
    silent = silence(reference, estimate)
    if silent:
        return silent
    reference, estimate = _at_rate(reference), _at_rate(estimate)
    short = too_short(reference, WINDOW)
    if short:
        return short
    clean, decoded = _envelopes(reference), _envelopes(estimate)
    audible = clean.energy > clean.energy.max() * 10 ** (-RANGE_DB / 10)
    distances = _DB * np.sqrt(np.square(clean.cepstra - decoded.cepstra).sum(axis=1))
    return Score.of(distances[audible].mean())


METRIC = Metric(
    name="mcd",
    definition=(
        f"10 / ln 10 * sqrt(2 * sum over d = 1..{COEFFICIENTS} of (c[d] - c'[d])^2), mean over the frames of the "
        f"reference within {RANGE_DB:g} dB of its loudest, frame by frame without warping; c[d] is the d-th "
        f"coefficient of the cosine series of ln max(M, 1e-5) over {BANDS} bands, where M is |STFT| (periodic Hann of "
        f"{WINDOW}, hop {WINDOW // 4}, centred, reflect) times librosa's Slaney mel basis, at 16 kHz (soxr HQ); c[0], "
        "the level, is left out"
    ),
    unit="dB",
    direction="lower",
    value_range=(0.0, None),
    source="Kubichek 1993; thirteen coefficients as Skerry-Ryan et al. 2018 (MCD 13)",
    version=1,
    compute=_compute,
)
