"""How far a reconstruction is from its original, with nothing but numpy; PESQ and STOI where their packages are."""

from __future__ import annotations

import functools
import importlib.util
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr

from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.measures.loudness import loudness

MEL_SCALES = ((150, 2048), (80, 512))  # (mel bands, window in samples)
MEL_FLOOR = 1e-5
LIMIT_DB = 100.0
PESQ_RATE = 16_000
PESQ_SECONDS = (0.25, 120.0)
_FRAMES_AT_ONCE = 1024


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


def mel_distance(original: np.ndarray, made: np.ndarray, rate: int) -> Value:
    """Codec-SUPERB's multi-scale mel distance of signals (S,)."""
    longest = max(window for _, window in MEL_SCALES)
    if len(original) <= longest // 2:
        return Value(reason=f"{len(original)} samples are too few: more than {longest // 2} are needed")
    return Value(sum(_mel_distance(original, made, rate, *scale) for scale in MEL_SCALES))


def _mel_distance(original: np.ndarray, made: np.ndarray, rate: int, bands: int, window: int) -> float:
    """L1 of log10(max(M, MEL_FLOOR) ** 2) plus L1 of M, each a mean over all bins."""
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    basis = mel_basis(rate, window, bands)
    framed = [
        np.lib.stride_tricks.sliding_window_view(np.pad(signal, window // 2, mode="reflect"), window)[:: window // 4]
        for signal in (original, made)
    ]
    total = 0.0
    for start in range(0, len(framed[0]), _FRAMES_AT_ONCE):
        first, second = (
            np.abs(np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * hann, axis=1)) @ basis for frames in framed
        )
        logs = 2 * np.log10(np.maximum(first, MEL_FLOOR) / np.maximum(second, MEL_FLOOR))
        total += float(np.abs(logs).sum(dtype=np.float64) + np.abs(first - second).sum(dtype=np.float64))
    return total / (len(framed[0]) * bands)


@functools.cache
def mel_basis(rate: int, window: int, bands: int) -> np.ndarray:
    """Slaney's mel bands of area 1 from 0 to rate / 2, as librosa has them: float32 (window // 2 + 1, bands)."""
    # Linear up to 1 kHz, then logarithmic with 27 bands for a factor of 6.4.
    step, knee, per_octave = 200 / 3, 15.0, math.log(6.4) / 27
    top = rate / 2
    top_mel = knee + math.log(top / 1000) / per_octave if top >= 1000 else top / step
    mels = np.linspace(0, top_mel, bands + 2)
    edges = np.where(mels < knee, step * mels, 1000 * np.exp(per_octave * (mels - knee)))
    bins = np.linspace(0, top, window // 2 + 1)[:, None]
    widths = np.diff(edges)
    rising = (bins - edges[:-2]) / widths[:-1]
    falling = (edges[2:] - bins) / widths[1:]
    return (np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


def si_sdr(original: np.ndarray, made: np.ndarray, rate: int) -> Value:
    """Scale-invariant signal-to-distortion ratio of signals (S,), in dB."""
    silent = _silent(original, made)
    if silent:
        return silent
    clean, estimate = (signal.astype(np.float64) - signal.mean(dtype=np.float64) for signal in (original, made))
    target = np.sum(estimate * clean) / np.sum(clean * clean) * clean
    wanted, unwanted = float(np.sum(target**2)), float(np.sum((estimate - target) ** 2))
    if min(wanted, unwanted) == 0:
        return Value(LIMIT_DB if unwanted == 0 else -LIMIT_DB)
    return Value(float(np.clip(10 * math.log10(wanted / unwanted), -LIMIT_DB, LIMIT_DB)))


def loudness_difference(original: np.ndarray, made: np.ndarray, rate: int) -> Value:
    """How much louder the reconstruction (S,) is than the original, in LU."""
    levels = loudness(original, rate), loudness(made, rate)
    for name, level in zip(("original", "reconstruction"), levels, strict=True):
        if not math.isfinite(level):
            return Value(reason=f"the {name} is silent")
    return Value(levels[1] - levels[0])


def pesq(original: np.ndarray, made: np.ndarray, rate: int) -> Value:
    """Wide-band PESQ of signals (S,), or the package's reason for none."""
    if importlib.util.find_spec("pesq") is None:
        return Value(reason=missing("PESQ", "pesq"))
    import pesq as package

    shortest, longest = PESQ_SECONDS
    seconds = len(original) / rate
    if not shortest <= seconds <= longest:
        return Value(reason=f"{seconds:.4g} s: PESQ takes {shortest:g} to {longest:g} s")
    silent = _silent(original, made)
    if silent:
        return silent
    clean, estimate = (soxr.resample(signal, rate, PESQ_RATE, quality="HQ") for signal in (original, made))
    try:
        score = package.pesq(PESQ_RATE, clean, estimate, "wb", on_error=package.PesqError.RAISE_EXCEPTION)
    except (package.PesqError, ValueError) as error:
        detail = error.args[0] if error.args else ""
        detail = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        return Value(reason=f"PESQ: {detail or type(error).__name__}")
    return _finite(score, "PESQ")


def stoi(original: np.ndarray, made: np.ndarray, rate: int) -> Value:
    """STOI of signals (S,), or why there is none."""
    if importlib.util.find_spec("pystoi") is None:
        return Value(reason=missing("STOI", "pystoi"))
    import pystoi

    silent = _silent(original, made)
    if silent:
        return silent
    try:
        with warnings.catch_warnings():
            # The package warns, and gives 0.00001, where too little of the clip is loud.
            warnings.simplefilter("error", RuntimeWarning)
            score = pystoi.stoi(original, made, rate)
    except (RuntimeWarning, ValueError) as error:
        why = "too few frames that are not silent" if "STFT" in str(error) else str(error)
        return Value(reason=f"STOI: {why}")
    return _finite(score, "STOI")


def _silent(original: np.ndarray, made: np.ndarray) -> Value | None:
    for name, signal in (("original", original), ("reconstruction", made)):
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
        mel_distance,
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
