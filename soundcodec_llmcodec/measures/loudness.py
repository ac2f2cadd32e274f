"""Loudness as ITU-R BS.1770-4 measures it, of one channel at any rate.

The filters are applied to a spectrum with zeros after the samples: what the recursive filters would give, to rounding.
"""

from __future__ import annotations

import functools
import math

import numpy as np

Coefficients = tuple[float, float, float]

# The standard tabulates its filters for 48 kHz; these are the analog filters behind that table (a high shelf, then a
# high pass), so that they can be made for any rate: corner in Hz, quality, and the shelf's gain in dB.
_SHELF_HZ, _SHELF_Q, _SHELF_DB = 1681.974450955533, 0.7071752369554196, 3.999843853973347
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773
# BS.1770's constant, by which a full-scale sine of 997 Hz in one channel has -3.01 LUFS.
OFFSET_DB = -0.691
# The high pass rings for milliseconds: what is left after this is beyond float64.
_RINGING_S = 0.25
# The gate: blocks of 400 ms every 100 ms, those below -70 LUFS dropped, then those 10 LU below the mean of the others.
_BLOCK_S, _BLOCK_HOP_S = 0.4, 0.1
_SILENCE_LUFS, _RELATIVE_LU = -70.0, -10.0


def loudness(samples: np.ndarray, rate: int, *, gated: bool = False) -> float:
    """Loudness of samples (S,) in LUFS; -inf for silence.

    Over the whole clip, or with the standard's gate, which drops quiet blocks. A clip shorter than one block of 400 ms
    has one block, itself.
    """
    weighted = k_weighted(samples, rate)
    if not gated:
        return _level(float(np.mean(weighted**2)))
    block, hop = min(round(_BLOCK_S * rate), len(weighted)), round(_BLOCK_HOP_S * rate)
    total = np.concatenate([[0.0], np.cumsum(weighted**2)])
    starts = np.arange(0, len(weighted) - block + 1, hop)
    powers = (total[starts + block] - total[starts]) / block
    loud = powers[powers > _power(_SILENCE_LUFS)]
    if not loud.size:
        return -math.inf
    return _level(float(loud[loud > _power(_level(float(loud.mean())) + _RELATIVE_LU)].mean()))


def k_weighted(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples (S,) through the K-weighting filters: float64 (S,). Linear, so weighted signals add as signals do."""
    samples = np.asarray(samples, dtype=np.float64)
    size = _even_size(len(samples) + math.ceil(_RINGING_S * rate))
    spectrum = np.fft.rfft(samples, size)
    spectrum *= _response(size, rate)
    return np.fft.irfft(spectrum, size)[: len(samples)]


def gain_to(samples: np.ndarray, rate: int, target: float) -> float:
    """The factor that brings samples (S,) to `target` LUFS. Raises ValueError for silence."""
    now = loudness(samples, rate)
    if now == -math.inf:
        raise ValueError(f"{len(samples)} samples are silent: no gain brings them to {target:.1f} LUFS")
    return 10 ** ((target - now) / 20)


def gain_beside(fixed: np.ndarray, added: np.ndarray, rate: int, target: float) -> float | None:
    """The factor g >= 0 for which fixed + g * added, both (S,), has `target` LUFS; None where there is none."""
    base, other = k_weighted(fixed, rate), k_weighted(added, rate)
    # The power is a quadratic in g.
    square, mixed, rest = np.mean(other**2), np.mean(base * other), np.mean(base**2) - _power(target)
    inside = mixed**2 - square * rest
    if square <= 0 or inside < 0:
        return None
    root = (-mixed + math.sqrt(inside)) / square
    return float(root) if root >= 0 else None


def _level(power: float) -> float:
    return OFFSET_DB + 10 * math.log10(power) if power > 0 else -math.inf


def _power(level: float) -> float:
    return 10.0 ** ((level - OFFSET_DB) / 10)


@functools.lru_cache(maxsize=4)
def _response(size: int, rate: int) -> np.ndarray:
    """The K-weighting at the bins of a spectrum of `size` samples: complex128 (size // 2 + 1,)."""
    delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(len(delay), dtype=np.complex128)
    for above, below in filters(rate):
        response *= np.polyval(above[::-1], delay) / np.polyval(below[::-1], delay)
    return response


def filters(rate: int) -> list[tuple[Coefficients, Coefficients]]:
    """Numerator and denominator, by rising delay, of the two filters at `rate` Hz, by the bilinear transform.

    A rate that cannot hold the shelf's corner has none of the shelf.
    """
    sections = []
    if rate > 2 * _SHELF_HZ:
        k = math.tan(math.pi * _SHELF_HZ / rate)
        high, band = 10 ** (_SHELF_DB / 20), 10 ** (_SHELF_DB / 20 * 0.4996667741545416)
        scale = 1 + k / _SHELF_Q + k * k
        above = (high + band * k / _SHELF_Q + k * k, 2 * (k * k - high), high - band * k / _SHELF_Q + k * k)
        below = (1 + k / _SHELF_Q + k * k, 2 * (k * k - 1), 1 - k / _SHELF_Q + k * k)
        sections.append((_scaled(above, scale), _scaled(below, scale)))
    k = math.tan(math.pi * _PASS_HZ / rate)
    scale = 1 + k / _PASS_Q + k * k
    below = (scale, 2 * (k * k - 1), 1 - k / _PASS_Q + k * k)
    # The standard's numerator at every rate, as libebur128 and pyloudnorm have it: 0.04 dB above a gain of 1 at 48 kHz,
    # 0.13 dB at 16 kHz.
    sections.append(((1.0, -2.0, 1.0), _scaled(below, scale)))
    return sections


def _scaled(values: Coefficients, scale: float) -> Coefficients:
    return values[0] / scale, values[1] / scale, values[2] / scale


def _even_size(least: int) -> int:
    """The smallest product of 2, 3 and 5 that is even and no smaller: a size that transforms fast."""
    best = 1 << max(1, (least - 1).bit_length())
    for fives in (1, 5, 25, 125):
        for threes in (1, 3, 9, 27, 81):
            odd = fives * threes
            best = min(best, odd << max(1, (-(-least // odd) - 1).bit_length()))
    return best
