"""How far a reconstruction is from its original, with nothing but numpy; PESQ and STOI where their packages are."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr

from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.measures import signal_to_distortion
from soundcodec_llmcodec.measures.loudness import loudness
from soundcodec_llmcodec.measures.mel_distance import mel_distance, too_short

PESQ_RATE = 16_000
PESQ_SECONDS = (0.25, 120.0)


@dataclass(frozen=True)
class Value:
    """A finite value, or the reason why there is none."""

    value: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Measure:
    """A measure of two signals float32 (S,) of one rate: `better` is lower, higher or nearer to 0."""

    name: str
    unit: str
    better: str
    definition: str
    compute: Callable[[np.ndarray, np.ndarray, int], Value]


def mel(original: np.ndarray, estimate: np.ndarray, rate: int) -> Value:
    """Codec-SUPERB's multi-scale mel distance of signals (S,)."""
    reason = too_short(len(original))
    return Value(reason=reason) if reason else Value(mel_distance(original, estimate, rate))


def si_sdr(original: np.ndarray, estimate: np.ndarray, rate: int) -> Value:
    """Scale-invariant signal-to-distortion ratio of signals (S,), in dB."""
    return _silent(original, estimate) or Value(signal_to_distortion.si_sdr(original, estimate))


def loudness_difference(original: np.ndarray, estimate: np.ndarray, rate: int) -> Value:
    """How much louder the reconstruction (S,) is than the original, in LU."""
    levels = loudness(original, rate), loudness(estimate, rate)
    for name, level in zip(("original", "reconstruction"), levels, strict=True):
        if not math.isfinite(level):
            return Value(reason=f"the {name} is silent")
    return Value(levels[1] - levels[0])


def pesq(original: np.ndarray, estimate: np.ndarray, rate: int) -> Value:
    """Wide-band PESQ of signals (S,), or the package's reason for none."""
    if importlib.util.find_spec("pesq") is None:
        return Value(reason=missing("PESQ", "pesq"))
    import pesq as package

    shortest, longest = PESQ_SECONDS
    seconds = len(original) / rate
    if not shortest <= seconds <= longest:
        return Value(reason=f"{seconds:.4g} s: PESQ takes {shortest:g} to {longest:g} s")
    silent = _silent(original, estimate)
    if silent:
        return silent
    clean, decoded = (soxr.resample(signal, rate, PESQ_RATE, quality="HQ") for signal in (original, estimate))
    try:
        score = package.pesq(PESQ_RATE, clean, decoded, "wb", on_error=package.PesqError.RAISE_EXCEPTION)
    except (package.PesqError, ValueError) as error:
        detail = error.args[0] if error.args else ""
        detail = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        return Value(reason=f"PESQ: {detail or type(error).__name__}")
    return _finite(score, "PESQ")


def stoi(original: np.ndarray, estimate: np.ndarray, rate: int) -> Value:
    """STOI of signals (S,), or why there is none."""
    if importlib.util.find_spec("pystoi") is None:
        return Value(reason=missing("STOI", "pystoi"))
    import pystoi

    silent = _silent(original, estimate)
    if silent:
        return silent
    try:
        with warnings.catch_warnings():
            # The package warns, and gives 0.00001, where too little of the clip is loud.
            warnings.simplefilter("error", RuntimeWarning)
            score = pystoi.stoi(original, estimate, rate)
    except (RuntimeWarning, ValueError) as error:
        why = "too few frames that are not silent" if "STFT" in str(error) else str(error)
        return Value(reason=f"STOI: {why}")
    return _finite(score, "STOI")


def _silent(original: np.ndarray, estimate: np.ndarray) -> Value | None:
    for name, signal in (("original", original), ("reconstruction", estimate)):
        if (signal == signal[0]).all():
            return Value(reason=f"the {name} is silent")
    return None


def _finite(score: float, name: str) -> Value:
    return Value(float(score)) if math.isfinite(score) else Value(reason=f"{name} gave {score}")


MEASURES = (
    Measure(
        "mel",
        "",
        "lower",
        "Multi-scale log-mel distance: how far the two mel spectrograms are apart, the mean over all bins of "
        "|log10 M² − log10 M′²| + |M − M′|, summed over windows of 2048 (150 bands) and 512 samples (80 bands). "
        "The same number as the harness's and Codec-SUPERB's mel.",
        mel,
    ),
    Measure(
        "SI-SDR",
        "dB",
        "higher",
        "Scale-invariant signal-to-distortion ratio: the energy of the part of the reconstruction that is the "
        "original, scaled, over the energy of the rest. It compares waveforms: a codec that makes the phase anew "
        "scores low and may sound well.",
        si_sdr,
    ),
    Measure(
        "loudness",
        "LU",
        "0",
        "Loudness difference: the reconstruction's loudness less the original's, K-weighted as in ITU-R BS.1770, "
        "without its gating. Positive is louder.",
        loudness_difference,
    ),
    Measure(
        "PESQ",
        "",
        "higher",
        "Predicted opinion of speech quality, 1.0 to 4.6: ITU-T P.862.2, wide band, by the package pesq at 16 kHz.",
        pesq,
    ),
    Measure("STOI", "", "higher", "Short-time objective intelligibility of speech, to 1, by the package pystoi.", stoi),
)
