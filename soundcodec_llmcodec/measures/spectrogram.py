"""Spectrograms of clips: power in mel-spaced bands, and levels at evenly spaced frequencies.

Letters: S samples, T columns of an image.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from soundcodec_llmcodec.measures.mel_distance import hann

ROWS = 112
COLUMNS = 300
WINDOW_S = 0.04
LEVEL_WINDOW = 512
LEVEL_HOPS_A_SECOND = 200
MOST_LEVEL_COLUMNS = 1600
FRAMES_AT_ONCE = 512
_LEAST_LEVEL = 1e-9


def power(samples: np.ndarray, rate: int, most_columns: int = COLUMNS) -> np.ndarray:
    """Mean power float64 (ROWS, T) of samples (S,): mel-spaced bands from 0 to rate / 2, low first.

    At most `most_columns` columns of equal length; of windows of WINDOW_S, those within a column are averaged.
    """
    window = 1 << round(np.log2(WINDOW_S * rate))
    hop = max(1, min(window // 4, len(samples) // most_columns))
    padded = np.pad(np.asarray(samples, np.float32), (window // 2, window))
    bands = _bands(rate, window)
    parts = [np.abs(spectra) ** 2 @ bands for spectra in _spectra(padded, window, hop, len(samples) // hop + 1)]
    banded = np.concatenate(parts).astype(np.float64)
    columns = min(most_columns, len(banded))
    starts = np.arange(columns) * len(banded) // columns
    counts = np.diff(np.append(starts, len(banded)))
    return (np.add.reduceat(banded, starts, axis=0) / counts[:, None]).T


def levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Levels in dB, float64 (256, T), of samples (S,): 0 Hz to just below rate / 2, low first; 0 is a full-scale sine.

    Windows of 512 samples every 5 ms, or wider apart for what would not fit 1600 columns.
    """
    hop = max(1, rate // LEVEL_HOPS_A_SECOND, -(-len(samples) // MOST_LEVEL_COLUMNS))
    padded = np.pad(np.asarray(samples, np.float32), LEVEL_WINDOW // 2)
    magnitudes = [np.abs(spectra[:, :-1]) for spectra in _spectra(padded, LEVEL_WINDOW, hop, len(samples) // hop + 1)]
    full_scale = hann(LEVEL_WINDOW).sum(dtype=np.float64) / 2
    return 20 * np.log10(np.maximum(np.concatenate(magnitudes).T / full_scale, _LEAST_LEVEL))


def mel(hertz: float | np.ndarray) -> float | np.ndarray:
    """The HTK mel scale, 2595 log10(1 + f / 700)."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def height(hertz: float, rate: int) -> float:
    """Where a frequency stands on the image: 0 at the bottom, 1 at the top."""
    return float(mel(hertz) / mel(rate / 2))


def frequency_ticks(rate: int) -> list[int]:
    """Frequencies in Hz to name beside an image of this rate, far enough from each other and from its top."""
    ticks: list[int] = []
    for tick in (16000, 8000, 4000, 2000, 1000, 500):
        above = height(ticks[-1], rate) if ticks else 1.0
        if height(tick, rate) <= above - (0.12 if ticks else 0.03):
            ticks.append(tick)
    return ticks


def _bands(rate: int, window: int) -> np.ndarray:
    """Float32 (window // 2 + 1, ROWS): the mean over each mel-spaced band of a spectrum drawn as steps of one bin.

    A band narrower than a bin takes the bins that it touches by their share, so that none is empty.
    """
    top = float(mel(rate / 2))
    edges = 700 * (10 ** (np.linspace(0, top, ROWS + 1) / 2595) - 1) * window / rate
    bins = np.arange(window // 2 + 1)[:, None]
    low, high = edges[:-1], edges[1:]
    overlap = np.clip(np.minimum(bins + 0.5, high) - np.maximum(bins - 0.5, low), 0, None)
    return (overlap / (high - low)).astype(np.float32)


def _spectra(padded: np.ndarray, window: int, hop: int, count: int) -> Iterator[np.ndarray]:
    """Spectra (n, window // 2 + 1) of the first `count` windows under a Hann window, a number of windows at a time."""
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:count]
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        yield np.fft.rfft(frames[start : start + FRAMES_AT_ONCE] * hann(window), axis=1)
