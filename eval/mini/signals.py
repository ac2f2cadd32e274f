"""Building blocks of synthesis: envelopes, filters, noises and levels. Signals are float64 (S,), rates in Hz."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import signal

Signal = np.ndarray


def seconds(duration_s: float, rate: int) -> Signal:
    """The time of every sample of a clip, in s."""
    return np.arange(round(duration_s * rate)) / rate


def decay(t: Signal, attack_s: float, half_life_s: float) -> Signal:
    """An envelope that rises linearly over attack_s and then halves every half_life_s."""
    return np.minimum(t / attack_s, 1.0) * 0.5 ** (np.maximum(t - attack_s, 0.0) / half_life_s)


def plateau(t: Signal, attack_s: float, release_s: float) -> Signal:
    """An envelope with cosine flanks that is 1 in between."""
    end = t[-1] if len(t) else 0.0
    rise = np.clip(t / attack_s, 0.0, 1.0)
    fall = np.clip((end - t) / release_s, 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))


def band(x: Signal, rate: int, low_hz: float | None, high_hz: float | None, order: int = 2) -> Signal:
    """Butterworth band-, low- or high-pass (an open side is None)."""
    if low_hz is None:
        sections = signal.butter(order, high_hz, "lowpass", fs=rate, output="sos")
    elif high_hz is None:
        sections = signal.butter(order, low_hz, "highpass", fs=rate, output="sos")
    else:
        sections = signal.butter(order, (low_hz, high_hz), "bandpass", fs=rate, output="sos")
    return signal.sosfilt(sections, x)


def add(track: Signal, event: Signal, start_s: float, rate: int, gain: float = 1.0) -> None:
    """Mix an event into a track in place; what would pass the track's end is cut."""
    start = round(start_s * rate)
    part = event[: max(0, len(track) - start)]
    track[start : start + len(part)] += gain * part


def room(x: Signal, rate: int, rng: np.random.Generator, reverb_s: float, wet: float) -> Signal:
    """A small room: exponentially decaying low-passed noise as impulse response, `wet` of it mixed in."""
    t = seconds(reverb_s, rate)
    response = band(rng.standard_normal(len(t)), rate, 120.0, 0.22 * rate) * 0.5 ** (t / (reverb_s / 7))
    response /= np.sqrt(np.sum(response**2))
    return (1 - wet) * x + wet * signal.fftconvolve(x, response)[: len(x)]


def finish(x: Signal, rate: int, peak: float, fade_s: float = 0.01) -> np.ndarray:
    """A clip ready to store: no offset, faded ends, scaled to a peak; float32 (S,)."""
    x = x - np.mean(x)
    x = x * plateau(np.arange(len(x)) / rate, fade_s, 3 * fade_s)
    return (x * (peak / np.max(np.abs(x)))).astype(np.float32)


def hertz(note: Any) -> Any:
    """Frequency of a MIDI note number (69 is A4 at 440 Hz), or of an array of them."""
    return 440.0 * 2.0 ** ((note - 69.0) / 12.0)
