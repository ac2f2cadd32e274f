"""Sound files: opened and checked, read in blocks, written whole."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.scalars import whole_number

MIN_RATE = 8_000
MAX_RATE = 192_000
# Loud float audio may peak at 2 or 3; what is beyond this was never scaled.
_MAX_PEAK = 10.0
_BLOCK = 1 << 18
_SUBTYPES = {
    ".wav": "PCM_16",
    ".flac": "PCM_16",
    ".aiff": "PCM_16",
    ".aif": "PCM_16",
    ".ogg": "VORBIS",
    ".opus": "OPUS",
    ".mp3": "MPEG_LAYER_III",
}


_CONTAINERS = {".opus": "OGG", ".aif": "AIFF"}


class AudioError(ValueError):
    """Audio that cannot be used, with what came and what was expected."""


def check_rate(rate: Any, known: Any = None) -> int:
    """The sampling rate in Hz as an int, checked; `known` is the rate that the audio itself states.

    A rate may come in any form that `scalars.whole_number` reads. Raises AudioError where no rate is given, the two
    differ, or it is not a whole number from 8,000 to 192,000.
    """
    rates = [_whole_rate(value) for value in (rate, known) if value is not None]
    if not rates:
        raise AudioError("the sampling rate is missing; give it in Hz")
    if rates[0] != rates[-1]:
        raise AudioError(f"sampling_rate={rates[0]} was given for audio that states {rates[-1]} Hz")
    return rates[0]


def _whole_rate(value: Any) -> int:
    found = whole_number(value)
    if found is None:
        raise AudioError(f"the sampling rate must be one whole number of Hz, got {value!r}")
    if not MIN_RATE <= found <= MAX_RATE:
        raise AudioError(
            f"the sampling rate must be {MIN_RATE:,} to {MAX_RATE:,} Hz, got {value!r}; resample audio of any other "
            f"rate first"
        )
    return found


def check_finite(samples: np.ndarray, start: int = 0) -> None:
    """Raise AudioError where samples (C, S), the first of them number `start`, hold NaN or infinity."""
    if np.isfinite(samples).all():
        return
    bad = np.flatnonzero(~np.isfinite(samples).all(axis=0))
    raise AudioError(f"the audio has NaN or infinite values in {len(bad)} samples, first at {start + bad[0]}")


def peak_of(samples: np.ndarray) -> float:
    """The largest magnitude, without a copy of the samples."""
    return float(max(samples.max(), -samples.min()))


def warn_if_unscaled(peak: float) -> None:
    """Warn where float audio peaks so far beyond 1 that it must hold unscaled integers."""
    if peak > _MAX_PEAK:
        warnings.warn(
            f"the audio's peak is {peak:g}, where full scale is 1: the samples seem to be at integer scale; divide "
            f"those of 16-bit audio by 32768, or give them as int16",
            stacklevel=4,
        )


@contextlib.contextmanager
def opened(source: Any) -> Iterator[soundfile.SoundFile]:
    """The sound file `source` (a path or an open binary file), with the library's errors as AudioError."""
    name = "the sound file"
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if os.path.isdir(source):
            raise AudioError(f"{name} is a folder, not a sound file")
        if not os.path.exists(source):
            raise FileNotFoundError(f"no sound file {name!r}; text is taken as a path")
        if os.path.isfile(source) and os.path.getsize(source) == 0:
            raise AudioError(f"{name} is empty (0 bytes)")
    try:
        with soundfile.SoundFile(source) as file:
            check_rate(file.samplerate)
            yield file
    except soundfile.SoundFileError as error:
        raise AudioError(f"cannot read {name} as audio: {error}") from error
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from error


def blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """The file's samples as finite float32 blocks (S, C). Raises AudioError where there are none."""
    done, peak = 0, 0.0
    # A header may claim a thousand channels: a block holds so many numbers, however they are shared out.
    frames = max(1, _BLOCK // max(1, file.channels // 2))
    while len(block := file.read(frames, dtype="float32", always_2d=True)):
        check_finite(block.T, done)
        done, peak = done + len(block), max(peak, peak_of(block))
        yield block
    warn_if_unscaled(peak)
    if done == 0:
        raise AudioError("it has no samples")
    if done < file.frames:
        warnings.warn(f"the audio file states {file.frames} samples but holds {done}: it is cut short", stacklevel=3)


def check_ending(*paths: str | os.PathLike[str]) -> None:
    """Raise AudioError for a path whose ending names no format that `write_audio` writes."""
    for path in paths:
        if Path(path).suffix.lower() not in _SUBTYPES:
            raise AudioError(f"cannot write {os.fspath(path)}: name it with one of {', '.join(_SUBTYPES)}")


def write_audio(path: Any, samples: Any, sampling_rate: int, *, subtype: str | None = None) -> None:
    """Write samples (S,) or (C, S) to a sound file, block by block; the file appears whole or not at all.

    The format follows the name's ending. WAV, FLAC and AIFF are 16-bit unless `subtype` (a libsndfile name, such as
    "FLOAT" or "PCM_24") says otherwise. 16-bit samples are round(x * 32768), so that 16-bit audio comes back equal;
    in every format but floats, values beyond the range are clipped to it.

    Raises AudioError for samples that are not finite, an unknown ending or a rate the format cannot hold, and OSError
    where the file cannot be written, as on a full disk.
    """
    array = samples.detach().cpu().numpy() if isinstance(samples, torch.Tensor) else np.asarray(samples)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.dtype.kind != "f":
        raise AudioError(f"expected float samples (S,) or (C, S) to write, got {array.dtype} {array.shape}")
    rate = whole_number(sampling_rate)
    if rate is None:
        raise AudioError(f"the sampling rate must be one whole number of Hz, got {sampling_rate!r}")
    check_ending(path)
    ending = Path(path).suffix.lower()
    subtype = subtype or _SUBTYPES[ending]
    with written_whole(path) as temporary, _Output(temporary) as output:
        try:
            form = _CONTAINERS.get(ending, ending[1:].upper())
            with soundfile.SoundFile(output, "w", rate, len(array), subtype, format=form) as file:
                for start in range(0, array.shape[1], _BLOCK):
                    file.write(_encoded(array[:, start : start + _BLOCK].T, file.subtype))
                    output.check()
        except (soundfile.SoundFileError, ValueError, TypeError, AssertionError) as error:
            output.check()
            raise AudioError(f"cannot write {os.fspath(path)} at {rate} Hz: {error}") from error
        # What is written when the file is closed may fail too, and libsndfile does not tell.
        output.check()


class _Output:
    """A binary file for libsndfile, which loses the system's errors: `check` raises the first one."""

    def __init__(self, path: Path) -> None:
        # Unbuffered: what is held back would fail in a seek, where nothing can be told.
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None
        self.seek, self.tell, self.read = self._file.seek, self._file.tell, self._file.read

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        try:
            while len(rest):
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._error = self._error or error
        return len(data) - len(rest)

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def _encoded(block: np.ndarray, subtype: str) -> np.ndarray:
    """A block (S, C) as it goes to a file of that subtype."""
    if not np.isfinite(block).all():
        raise ValueError("the samples have NaN or infinite values")
    if subtype == "PCM_16":
        # libsndfile would scale by 32767 and round down, which moves every sample of 16-bit audio by one step.
        return np.clip(np.rint(block.astype(np.float64) * 32_768), -32_768, 32_767).astype(np.int16)
    if subtype in ("FLOAT", "DOUBLE"):
        return np.ascontiguousarray(block)
    return np.clip(block, -1.0, 1.0)
