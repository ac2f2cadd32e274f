"""Where a recording may be cut, and how two of them become one."""

from __future__ import annotations

import numpy as np

FRAME_S = 0.010


def levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Level of each 10 ms of samples (S,) in dB, smoothed over 30 ms: float64 (ceil(S / frame),)."""
    frame = round(FRAME_S * rate)
    padded = np.pad(np.asarray(samples, dtype=np.float64), (0, -len(samples) % frame))
    power = np.mean(padded.reshape(-1, frame) ** 2, axis=1)
    smooth = np.convolve(np.pad(power, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    return 10 * np.log10(smooth + 1e-10)


def quietest(samples: np.ndarray, rate: int, low: float, high: float) -> int:
    """The sample at the middle of the quietest 10 ms between `low` and `high` seconds of samples (S,)."""
    loud = levels(samples, rate)
    first = min(max(0, round(low / FRAME_S)), len(loud) - 1)
    last = max(first + 1, min(len(loud), round(high / FRAME_S)))
    return int((first + int(np.argmin(loud[first:last])) + 0.5) * FRAME_S * rate)


def spoken(samples: np.ndarray, rate: int) -> tuple[int, int]:
    """First and last sample of what is spoken in samples (S,), with a margin of 50 ms: what lies within 35 dB of the
    loudest 10 ms, and above the noise where that is louder."""
    loud = levels(samples, rate)
    loudest, noise = float(loud.max()), float(np.percentile(loud, 5))
    frames = np.flatnonzero(loud > max(loudest - 35.0, min(noise + 10.0, loudest - 15.0)))
    margin, frame = round(0.05 * rate), round(FRAME_S * rate)
    return max(0, int(frames[0]) * frame - margin), min(len(samples), (int(frames[-1]) + 1) * frame + margin)


def rise(n_samples: int) -> np.ndarray:
    """A raised-cosine ramp from 0 to 1: float64 (n_samples,); with its mirror image it adds up to 1."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_samples) + 0.5) / n_samples)


def joined(head: np.ndarray, tail: np.ndarray, fade: int, *, equal_power: bool = False) -> np.ndarray:
    """Head (H,) and tail (T,) as one (H + T - fade,), cross-faded over the head's last `fade` samples.

    The ramps add up to 1, which keeps what runs on through the cut; with `equal_power` their squares do, which keeps
    the level of two sounds that have nothing in common.
    """
    up, down = rise(fade), rise(fade)[::-1]
    if equal_power:
        up, down = np.sqrt(up), np.sqrt(down)
    middle = head[len(head) - fade :] * down + tail[:fade] * up
    return np.concatenate([head[: len(head) - fade], middle, tail[fade:]])


def halves(samples: np.ndarray, cut: int, fade: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples (S,) as a first and a second half, both (S,), which fade into each other around `cut` and add up to
    them."""
    half = fade // 2
    gate = np.concatenate([np.zeros(cut - half), rise(fade), np.ones(len(samples) - cut + half - fade)])
    return samples * (1 - gate), samples * gate
