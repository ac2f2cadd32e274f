"""Another duration, or another voice, from the same speech."""

from __future__ import annotations

import numpy as np
import soxr

# 32 ms hold two periods of a low voice; with half of it as the hop, Hann windows add up to one.
_WINDOW_S = 0.032
_SEARCH_S = 0.010


def stretched(samples: np.ndarray, n_samples: int, rate: int) -> np.ndarray:
    """Samples (S,) in another number of samples, pitch and timbre kept: float64 (n_samples,), by WSOLA.

    Verhelst and Roelands 1993: windows are taken from the input at the wanted pace, each moved by up to 10 ms to where
    it best continues the one before. Samples of the right number come back as they are.
    """
    source = np.asarray(samples, dtype=np.float64)
    if len(source) == n_samples:
        return source.copy()
    hop = round(_WINDOW_S * rate) // 2
    window = np.hanning(2 * hop + 1)[:-1]
    search = round(_SEARCH_S * rate)
    frames = -(-n_samples // hop) + 1
    pace = len(source) / n_samples
    # Zeros before and after, so that every window has all its samples; the first window's centre is sample 0.
    padded = np.pad(source, (hop + search, 3 * hop + 2 * search + round(hop * pace)))
    out = np.zeros((frames + 1) * hop)
    weight = np.zeros_like(out)
    start = search
    for frame in range(frames):
        if frame:
            start = _best(padded, start + hop, search + round(frame * hop * pace), search, 2 * hop)
        out[frame * hop : frame * hop + 2 * hop] += window * padded[start : start + 2 * hop]
        weight[frame * hop : frame * hop + 2 * hop] += window
    return (out / np.maximum(weight, 1e-3))[hop : hop + n_samples]


def revoiced(samples: np.ndarray, factor: float, rate: int) -> np.ndarray:
    """The same speech in the same number of samples with pitch and formants times `factor`: float64 (S,)."""
    # Played faster by the factor, then brought back to its duration.
    faster = soxr.resample(np.asarray(samples, dtype=np.float64), rate * factor, rate, quality="HQ")
    return stretched(faster, len(samples), rate)


def _best(padded: np.ndarray, natural: int, ideal: int, search: int, length: int) -> int:
    """Where the window within `search` of `ideal` starts that is most like the one at `natural`."""
    ideal = min(ideal, len(padded) - length - search - 1)
    like = padded[min(natural, len(padded) - length) :][:length]
    field = padded[ideal - search : ideal + search + length]
    products = np.correlate(field, like, mode="valid")
    squares = np.cumsum(np.concatenate([[0.0], field**2]))
    energy = squares[length:] - squares[:-length]
    return ideal - search + int(np.argmax(products / np.sqrt(energy + 1e-9)))
