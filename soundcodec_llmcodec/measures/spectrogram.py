"""Spectrograms of clips on one scale: mel-spaced frequencies, dB below the loudest spot of the original."""

from __future__ import annotations

import numpy as np

from soundcodec_llmcodec.pages import png

ROWS = 112
COLUMNS = 300
FLOOR_DB = -80.0
WINDOW_S = 0.04
FRAMES_AT_ONCE = 512


def power(samples: np.ndarray, rate: int, most_columns: int = COLUMNS) -> np.ndarray:
    """Mean power float64 (ROWS, columns) of samples (S,): mel-spaced bands from 0 to rate / 2, low first.

    At most `most_columns` columns of equal length; of windows of WINDOW_S, those within a column are averaged.
    """
    window = 1 << round(np.log2(WINDOW_S * rate))
    hop = max(1, min(window // 4, len(samples) // most_columns))
    padded = np.pad(np.asarray(samples, np.float32), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(samples) + 1 : hop]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    bands = _bands(rate, window)
    parts = [
        np.abs(np.fft.rfft(frames[start : start + FRAMES_AT_ONCE] * hann, axis=1)) ** 2 @ bands
        for start in range(0, len(frames), FRAMES_AT_ONCE)
    ]
    banded = np.concatenate(parts).astype(np.float64)
    columns = min(most_columns, len(banded))
    starts = np.arange(columns) * len(banded) // columns
    counts = np.diff(np.append(starts, len(banded)))
    return (np.add.reduceat(banded, starts, axis=0) / counts[:, None]).T


def image(powers: np.ndarray, loudest: float) -> bytes:
    """A PNG of powers (rows, columns): bright where equal to `loudest`, black at FLOOR_DB below it and less."""
    floor = 10 ** (FLOOR_DB / 10)
    shares_of_loudest = powers / loudest if loudest > 0 else np.zeros_like(powers)
    decibels = 10 * np.log10(np.maximum(shares_of_loudest, floor))
    share = np.clip(1 - decibels / FLOOR_DB, 0, 1)
    return png.encode(np.rint(share[::-1] * (png.LEVELS - 1)).astype(np.uint8), png.palette())


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
