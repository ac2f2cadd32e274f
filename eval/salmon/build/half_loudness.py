"""Loudness by ITU-R BS.1770-4's K-weighting, without its gate: halves of pairs are shorter than the gate needs."""

from __future__ import annotations

import math

import numpy as np
import scipy.signal

# The standard tabulates its filters for 48 kHz; these are the analog filters behind that table (a high shelf, then a
# high pass), so that they can be made for any rate: corner in Hz, quality, and the shelf's gain in dB.
_SHELF_HZ, _SHELF_Q, _SHELF_DB = 1681.974450955533, 0.7071752369554196, 3.999843853973347
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773
# BS.1770's constant, by which a full-scale sine of 997 Hz in one channel has -3.01 LKFS.
_OFFSET_DB = -0.691


def weighted(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples (S,) through the K-weighting filter: float64 (S,). Linear, so weighted signals add as signals do."""
    return scipy.signal.sosfilt(_filter(rate), np.asarray(samples, dtype=np.float64))


def loudness(samples: np.ndarray, rate: int) -> float:
    """Loudness of samples (S,) in LKFS, ungated; -inf for silence."""
    power = float(np.mean(weighted(samples, rate) ** 2))
    return _OFFSET_DB + 10 * math.log10(power) if power > 0 else -math.inf


def gain_to(samples: np.ndarray, rate: int, target: float) -> float:
    """The factor that brings samples (S,) to `target` LKFS. Raises ValueError for silence."""
    now = loudness(samples, rate)
    if now == -math.inf:
        raise ValueError(f"{len(samples)} samples are silent: no gain brings them to {target:.1f} LKFS")
    return 10 ** ((target - now) / 20)


def gain_beside(fixed: np.ndarray, added: np.ndarray, rate: int, target: float) -> float | None:
    """The factor g >= 0 for which fixed + g * added, both (S,), has `target` LKFS; None where there is none."""
    base, other = weighted(fixed, rate), weighted(added, rate)
    target_power = 10 ** ((target - _OFFSET_DB) / 10)
    # The power is a quadratic in g.
    square, mixed, rest = np.mean(other**2), np.mean(base * other), np.mean(base**2) - target_power
    inside = mixed**2 - square * rest
    if square <= 0 or inside < 0:
        return None
    root = (-mixed + math.sqrt(inside)) / square
    return float(root) if root >= 0 else None


def _filter(rate: int) -> np.ndarray:
    """Second-order sections (2, 6) of the K-weighting at `rate` Hz, by the bilinear transform."""
    k = math.tan(math.pi * _SHELF_HZ / rate)
    high, band = 10 ** (_SHELF_DB / 20), 10 ** (_SHELF_DB / 20 * 0.4996667741545416)
    scale = 1 + k / _SHELF_Q + k * k
    shelf = [
        (high + band * k / _SHELF_Q + k * k) / scale,
        2 * (k * k - high) / scale,
        (high - band * k / _SHELF_Q + k * k) / scale,
        *(1, 2 * (k * k - 1) / scale, (1 - k / _SHELF_Q + k * k) / scale),
    ]
    k = math.tan(math.pi * _PASS_HZ / rate)
    scale = 1 + k / _PASS_Q + k * k
    high_pass = [1, -2, 1, 1, 2 * (k * k - 1) / scale, (1 - k / _PASS_Q + k * k) / scale]
    return np.array([shelf, high_pass])
