"""Log-mel spectra: what is there before anything is learnt.

Letters: S samples, F frames, M mel bands, W window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eval.representations.representation import SAMPLE_RATE, checked_samples
from soundcodec_llmcodec.measures.mel_filters import mel_filters

BANDS, WINDOW, HOP, N_FFT = 80, 400, 320, 512
FLOOR = 1e-10


class LogMel:
    """80 log-mel bands of 25 ms windows (Hann) every 20 ms, centred on the frame's own 20 ms.

    Each frame's mean over its bands is taken off: what is left is the spectrum's shape, which depends neither on the
    frame's level nor on the rest of the clip.
    """

    dimensions = BANDS
    frame_rate = SAMPLE_RATE / HOP

    def __init__(self, name: str = "mel") -> None:
        self.name = name

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Samples (S,) to float32 (F, M); beyond the clip are zeros."""
        samples = checked_samples(samples)
        count = -(-len(samples) // HOP)
        before = (WINDOW - HOP) // 2
        padded = np.pad(samples, (before, count * HOP - len(samples) + before))
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
        power = np.abs(np.fft.rfft(windows * hann, N_FFT, axis=1)) ** 2
        logs = np.log(np.maximum(power @ mel_filters(SAMPLE_RATE, N_FFT, BANDS).T, FLOOR))
        return (logs - logs.mean(axis=1, keepdims=True)).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        """The numbers that define the spectra."""
        return {"kind": "mel", "bands": BANDS, "window": WINDOW, "hop": HOP, "n_fft": N_FFT, "floor": FLOOR}
