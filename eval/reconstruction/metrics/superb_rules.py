"""Codec-SUPERB's six metrics by Codec-SUPERB's rules, for tables that stand beside its own.

They turn failures into numbers as it does, and are computed only where someone asks for its rules.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.signal

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics import f0corr, itu_pesq, mel_metric, pitch, stft_metric, stoi, waveform
from eval.reconstruction.metrics.octave_bands import FRAME, Rules, window

PREFIX = "superb:"
# Its script leaves out longer clips.
LONGEST_S = 120.0
DECLARED_RATE = 22_050
_SUM = float(window().sum())
# Its spectra are divided by the sum of the window before it adds 1e-10.
ITS_STOI = Rules(
    octave_filter=False, early=1, level=1e-10 * math.sqrt(FRAME), energy=1e-10 * _SUM**2, norm=1e-10 * _SUM
)
FAILED_PESQ, FAILED_STOI, FAILED_F0CORR = 1.0, 0.0, 0.0

Compute = Callable[[Signal, Signal], Score]


def _not_too_long(compute: Compute) -> Compute:
    @functools.wraps(compute)
    def checked(reference: Signal, estimate: Signal) -> Score:
        if reference.seconds > LONGEST_S:
            return Score(reason=f"{reference.seconds:.4g} s: Codec-SUPERB leaves out clips over {LONGEST_S:g} s")
        return compute(reference, estimate)

    return checked


def _pesq(reference: Signal, estimate: Signal) -> Score:
    import pesq

    clean, decoded = _at_16k(reference).samples, _at_16k(estimate).samples
    if not (np.any(clean) or np.any(decoded)):
        # The package divides by the largest sample.
        return Score(FAILED_PESQ)
    try:
        return Score.of(pesq.pesq(itu_pesq.RATE, clean, decoded, "wb"))
    except (pesq.PesqError, ValueError):  # ValueError: the package met a NaN
        return Score(FAILED_PESQ)


def _stoi(reference: Signal, estimate: Signal) -> Score:
    score = stoi.stoi(_at_16k(reference), _at_16k(estimate), ITS_STOI)
    return Score(FAILED_STOI if score.value is None else min(max(score.value, 0.0), 1.0))


def _f0corr(reference: Signal, estimate: Signal) -> Score:
    score = f0corr.correlation(_at_16k(reference), _at_16k(estimate), declared_rate=DECLARED_RATE)
    return Score(FAILED_F0CORR) if score.value is None else score


def _at_16k(signal: Signal) -> Signal:
    """The signal at 16 kHz by the resampler that Codec-SUPERB uses, kept with the signal.

    Its PESQ resamples both signals in place, so that STOI and the pitch, which come after it, see 16 kHz as well.
    """
    if signal.rate == itu_pesq.RATE:
        return signal
    return signal.derived(
        "superb 16 kHz", lambda: Signal(_windowed_sinc(signal.samples, signal.rate, itu_pesq.RATE), itu_pesq.RATE)
    )


def _windowed_sinc(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """float32 (S,) to (S * new // old,): a sinc of 24 zero crossings under cos^2, up to 0.945 of the lower band.

    Every output is a weighted mean of the samples around it; the ends are repeated. After the package julius.
    """
    divisor = math.gcd(old, new)
    old, new = old // divisor, new // divisor
    taps = _taps(old, new)
    half = len(taps) // 2
    margin = half // new + 1
    # Zeros before the taps, so that the first output that counts is a whole number of outputs from the start.
    lead = -(margin * new + half) % old
    first = (margin * new + half + lead) // old
    padded = np.pad(samples, margin, mode="edge")
    resampled = scipy.signal.upfirdn(np.pad(taps, (lead, 0)), padded, new, old)
    return resampled[first : first + len(samples) * new // old]


@functools.cache
def _taps(old: int, new: int, zeros: int = 24, rolloff: float = 0.945) -> np.ndarray:
    """The filter float32 (taps,), an odd number, at `old * new`; the taps that make one output sum to 1."""
    cutoff = rolloff / max(old, new)
    half = math.ceil(zeros / cutoff)
    places = np.clip(np.arange(-half, half + 1) * cutoff, -zeros, zeros)
    taps = np.sinc(places) * np.cos(np.pi * places / zeros / 2) ** 2
    for phase in range(new):
        taps[phase::new] /= taps[phase::new].sum()
    return taps.astype(np.float32)


def _by_their_rules(
    metric: Metric, compute: Compute, definition: str, value_range: tuple[float | None, float | None] | None = None
) -> Metric:
    return replace(
        metric,
        name=PREFIX + metric.name,
        definition=f"{definition}; clips over {LONGEST_S:g} s are left out (Codec-SUPERB's rules)",
        value_range=value_range or metric.value_range,
        source="Codec-SUPERB, SoundCodec/metrics.py",
        compute=_not_too_long(compute),
    )


_AT_16K = "both signals at 16 kHz (windowed sinc)"
_PESQ = f"ITU-T P.862.2 wide band (MOS-LQO) by the package pesq, {_AT_16K}, a failure is {FAILED_PESQ}"
_STOI = (
    f"STOI (Taal et al. 2011), not extended, {_AT_16K}, silent frames found one sample early; "
    f"cut to 0..1, a failure is {FAILED_STOI}"
)
_F0CORR = (
    f"{pitch.TRACK} of {_AT_16K} that are declared as {DECLARED_RATE} Hz; {f0corr.COMPARISON}; "
    f"a failure is {FAILED_F0CORR}"
)
# In the order of its result files.
SUPERB_METRICS = (
    _by_their_rules(mel_metric.METRIC, mel_metric.compute, mel_metric.METRIC.definition),
    _by_their_rules(stft_metric.METRIC, stft_metric.compute, stft_metric.METRIC.definition),
    _by_their_rules(waveform.METRIC, waveform.compute, waveform.METRIC.definition),
    _by_their_rules(itu_pesq.WIDE, _pesq, _PESQ),
    _by_their_rules(stoi.METRIC, _stoi, _STOI, (0.0, 1.0)),
    _by_their_rules(f0corr.METRIC, _f0corr, _F0CORR),
)
SUPERB_NAMES = tuple(metric.name for metric in SUPERB_METRICS)
