"""Spectrograms as pictures, and pictures as PNG files, without a drawing library."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soundcodec_llmcodec.pages.png import encode_rgb

# Dark to bright through purple and orange, evenly rising in lightness.
COLOURS = ((0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))
FLOOR_DB, CEILING_DB = -100.0, -20.0


def spectrogram_picture(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples (S,) as a picture (height 256, width, 3) of uint8: time to the right, 0 Hz at the bottom to rate / 2.

    Hann windows of 512 samples; brightness is the level from -100 to -20 dB, where 0 dB is a full-scale sine, the same
    for every picture so that they compare. The hop is rate / 200 (5 ms), wider for what would not fit 1600 columns.
    """
    size = 512
    hop = max(1, rate // 200, -(-len(samples) // 1600))
    padded = np.pad(np.asarray(samples, np.float32), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    window = np.hanning(size + 1)[:-1]
    magnitudes = np.abs(np.fft.rfft(frames * window, axis=1))[:, :-1] / (window.sum() / 2)
    level = 20 * np.log10(np.maximum(magnitudes, 1e-9))
    brightness = ((level - FLOOR_DB) / (CEILING_DB - FLOOR_DB)).clip(0, 1).T[::-1]
    stops = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(brightness, stops, [colour[i] for colour in COLOURS]) for i in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture (height, width, 3) of uint8."""
    path.write_bytes(encode_rgb(picture))
