"""Resampling of samples that come bit by bit: what resampling them in one piece gives, seam for seam."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from soundcodec_llmcodec.audio import _resampler, _tail, resampled_length

_PROBE_S = 1.0
_PROBE_STEP_S = 0.0005


class RateStream:
    """Samples at one rate to samples at another, by the resampler of `audio.resample`."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._resampler = None if from_rate == to_rate else _resampler(from_rate, to_rate)
        self._taken = 0
        self._given = 0

    def push(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Float32 samples (S,) to those (S',) that are ready; with `last`, resampled_length(all) have come out."""
        self._taken += len(samples)
        if self._resampler is None:
            return samples
        out = self._resampler.resample_chunk(samples) if len(samples) else np.zeros(0, dtype=np.float32)
        if last:
            tail = self._resampler.resample_chunk(_tail(self.from_rate, self.to_rate), last=True)
            whole = resampled_length(self._taken, self.from_rate, self.to_rate)
            out = np.concatenate((out, tail))[: whole - self._given]
        self._given += len(out)
        return out


@lru_cache(maxsize=64)
def resampling_delay_s(from_rate: int, to_rate: int) -> float:
    """The most that a RateStream holds back, in seconds: it works in blocks, so how much varies. Measured once."""
    if from_rate == to_rate:
        return 0.0
    stream, step = _resampler(from_rate, to_rate), max(1, int(_PROBE_STEP_S * from_rate))
    n_in = n_out = 0
    worst = 0.0
    while n_in < _PROBE_S * from_rate:
        # What is held is most just before a step's samples make a block whole.
        n_in += step
        worst = max(worst, n_in / from_rate - n_out / to_rate)
        n_out += len(stream.resample_chunk(np.zeros(step, dtype=np.float32)))
    return worst
