"""What STOI and ESTOI share: spectra in third-octave bands of the frames in which the reference is not silent.

The same steps as in the package pystoi, on whole arrays, and with the reference's part of the work kept.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
import scipy.sparse

from eval.harness.metric import Signal
from eval.harness.score import Score

# What metrics over these bands need.
NEEDS = ("pystoi",)
RATE = 10_000
FRAME = 256
HOP = FRAME // 2
FFT = 512
BANDS, LOWEST_HZ = 15, 150
SEGMENT = 30  # frames that are compared at once: 0.4 s
RANGE_DB = 40.0
EPS = float(np.finfo(np.float64).eps)


@functools.cache
def window() -> np.ndarray:
    """A Hann window float64 (FRAME,) without zeros at its ends."""
    return np.hanning(FRAME + 2)[1:-1]


@dataclass(frozen=True)
class Rules:
    """What implementations of STOI do differently.

    octave_filter: whether the low-pass for RATE is Octave's, or else the default of scipy.signal.resample_poly.
    early: samples by which the frames whose level tells silence begin before those that are then left out.
    level, energy, norm: what is added to a frame's norm, to a segment's energy and to its norm, against zeros.
    """

    octave_filter: bool
    early: int
    level: float
    energy: float
    norm: float


PYSTOI = Rules(octave_filter=True, early=0, level=EPS, energy=EPS**2, norm=EPS)


def too_short(reference: Signal, rules: Rules = PYSTOI) -> Score | None:
    """The reason for a reference that has no segment to compare; None where it has one."""
    if reference.seconds * RATE <= FRAME + 1:
        return Score(reason=f"{reference.seconds:.3g} s are too short")
    # Adding up overlapping frames and cutting them again gives one frame less.
    if np.count_nonzero(_audible(reference, rules)) - 1 < SEGMENT:
        return Score(reason=f"less than 0.4 s of sound: {SEGMENT} frames that are not silent are needed")
    return None


def segments(signal: Signal, reference: Signal, rules: Rules = PYSTOI) -> np.ndarray:
    """Band magnitudes float64 (bands, segments, SEGMENT), a view: every run of SEGMENT frames audible in `reference`.

    Its own are kept with the reference.
    """

    def make() -> np.ndarray:
        return _bands(_frames(_resampled(signal, rules))[_audible(reference, rules)])

    bands = signal.derived(("octave bands", rules), make) if signal is reference else make()
    return np.lib.stride_tricks.sliding_window_view(bands, SEGMENT, axis=1)


def _audible(reference: Signal, rules: Rules) -> np.ndarray:
    """bool (F,): the frames less than RANGE_DB dB below the loudest."""

    def make() -> np.ndarray:
        frames = _frames(np.roll(_resampled(reference, rules), rules.early))
        level = 20 * np.log10(np.linalg.norm(frames, axis=1) + rules.level)
        return level.max() - RANGE_DB - level < 0

    return reference.derived(("audible frames", rules), make)


def _resampled(signal: Signal, rules: Rules) -> np.ndarray:
    """The samples (S',) at RATE, kept with the signal."""

    def make() -> np.ndarray:
        if signal.rate == RATE:
            return signal.samples
        low_pass = _filter(signal.rate) if rules.octave_filter else ("kaiser", 5.0)
        return scipy.signal.resample_poly(signal.samples, RATE, signal.rate, window=low_pass)

    return signal.derived(("10 kHz", rules), make)


def _frames(samples: np.ndarray) -> np.ndarray:
    """Windowed frames float64 (F, FRAME) of samples at RATE."""
    # pystoi leaves out a last frame that ends with the signal.
    return np.lib.stride_tricks.sliding_window_view(samples[:-1], FRAME)[::HOP] * window()


def _bands(frames: np.ndarray) -> np.ndarray:
    """Frames (F, FRAME), added up to a signal and cut again, as band magnitudes float64 (bands, F - 1)."""
    joined = frames[:, :HOP].copy()
    joined[1:] += frames[:-1, HOP:]
    again = np.lib.stride_tricks.sliding_window_view(joined.reshape(-1), FRAME)[::HOP]
    spectrum = scipy.fft.rfft(again * window(), n=FFT, axis=-1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.ascontiguousarray(np.sqrt(power @ _basis()).T)


@functools.cache
def _basis() -> scipy.sparse.csc_array:
    """Bins to bands; sparse, which is faster here and starts no threads."""
    from pystoi.utils import thirdoct

    return scipy.sparse.csc_array(thirdoct(RATE, FFT, BANDS, LOWEST_HZ)[0].T)


@functools.cache
def _filter(rate: int) -> np.ndarray:
    """Octave's low-pass for resampling `rate` to RATE: a sinc under a Kaiser window, 60 dB of rejection."""
    divisor = math.gcd(RATE, rate)
    up, down = RATE // divisor, rate // divisor
    cutoff = 1 / (2 * max(up, down))
    half = math.ceil((60 - 8) / (28.714 * cutoff / 10))
    taps = np.sinc(2 * cutoff * np.arange(-half, half + 1)) * np.kaiser(2 * half + 1, 0.1102 * (60 - 8.7))
    return taps / taps.sum()
