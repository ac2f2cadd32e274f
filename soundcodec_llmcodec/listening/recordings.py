"""Sound files as the page takes them: their first seconds, and the FLAC that a browser plays.

Letters: C channels, S samples.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from soundcodec_llmcodec.audio import MAX_CHANNELS, Clip, mono
from soundcodec_llmcodec.audio_files import AudioError, blocks, opened

# What bounds the page: of a longer file, this much is coded, drawn and embedded.
SECONDS = 60.0


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a recording, or all of it: `clip` as it was read, and how long the whole is in seconds."""

    name: str
    clip: Clip
    whole_seconds: float

    @property
    def seconds(self) -> float:
        """Duration of what is here, in seconds."""
        return self.clip.n_samples / self.clip.sampling_rate

    @property
    def is_cut(self) -> bool:
        """Whether the recording goes on after it."""
        return self.whole_seconds > self.seconds

    @property
    def mono(self) -> np.ndarray:
        """Float32 (S,): the mean over channels, which is what a codec codes."""
        return mono(self.clip)


def read_excerpt(path: str | os.PathLike[str], seconds: float = SECONDS) -> Excerpt:
    """The first `seconds` of a sound file; no more of it is read.

    Raises AudioError for a file that cannot be read as audio, has more than 8 channels or holds no finite samples, and
    FileNotFoundError for a missing one.
    """
    parts: list[np.ndarray] = []
    with opened(path) as file:
        if file.channels > MAX_CHANNELS:
            raise AudioError(f"it has {file.channels} channels; at most {MAX_CHANNELS} can be played")
        most_samples = max(1, round(seconds * file.samplerate))
        for block in blocks(file):
            parts.append(block[: most_samples - sum(map(len, parts))])
            if sum(map(len, parts)) == most_samples:
                break
        rate, stated = file.samplerate, file.frames or 0
    samples = np.ascontiguousarray(np.concatenate(parts).T)
    whole = max(stated, samples.shape[1]) if samples.shape[1] == most_samples else samples.shape[1]
    return Excerpt(Path(path).name, Clip(samples, rate), whole / rate)


def flac(samples: np.ndarray, rate: int) -> bytes:
    """Float samples (S,) or (C, S) as a FLAC file: 16-bit where that holds each exactly, else rounded to 24 bit.

    Values beyond [-1, 1) are clipped.
    """
    rows = np.atleast_2d(samples).T
    deep = not _fits_16_bit(rows)
    scale = 2.0 ** (23 if deep else 15)
    steps = np.clip(np.rint(rows.astype(np.float64) * scale), -scale, scale - 1).astype(np.int32)
    stored = io.BytesIO()
    # libsndfile takes the upper bits of each integer.
    whole, subtype = (steps * 256, "PCM_24") if deep else (steps.astype(np.int16), "PCM_16")
    soundfile.write(stored, whole, rate, subtype, format="FLAC")
    return stored.getvalue()


def rounded(samples: np.ndarray) -> np.ndarray:
    """Float32 samples as 16-bit audio holds them, which is what `llmcodec decode` writes."""
    steps = np.clip(np.rint(samples.astype(np.float64) * 32_768), -32_768, 32_767)
    return (steps / 32_768).astype(np.float32)


def _fits_16_bit(samples: np.ndarray) -> bool:
    scaled = samples.astype(np.float64) * 32_768
    return bool((scaled == np.rint(scaled)).all() and scaled.min() >= -32_768 and scaled.max() <= 32_767)
