"""Sound files: opened by what they are, checked, and read in blocks to their end."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from soundcodec_llmcodec.containers import HEAD_BYTES, Link, View, found_start, links, read_at, tags_end, what_it_is
from soundcodec_llmcodec.scalars import whole_number

MIN_RATE = 8_000
MAX_RATE = 192_000
# Loud float audio may peak at 2 or 3; what is beyond this was never scaled.
_MAX_PEAK = 10.0
_BLOCK = 1 << 18
# A few kilobytes of compressed silence can become gigabytes. So many numbers (256 MiB) every file may hold, and beyond
# that so many for each of its bytes; the quietest recordings that were met have some 900.
_FREE_NUMBERS = 1 << 26
_NUMBERS_A_BYTE = 2_000
_HEADERLESS = (".raw", ".pcm", ".sw", ".s16", ".vox", ".gsm")


class AudioError(ValueError):
    """Audio that cannot be used, with what came and what was expected."""


def check_rate(rate: Any, stored_rate: Any = None) -> int:
    """The sampling rate in Hz as an int, checked; `known` is the rate that the audio itself states.

    A rate may come in any form that `scalars.whole_number` reads. Raises AudioError where no rate is given, the two
    differ, or it is not a whole number from 8,000 to 192,000.
    """
    rates = [_whole_rate(value) for value in (rate, stored_rate) if value is not None]
    if not rates:
        raise AudioError("the sampling rate is missing; give it in Hz")
    if rates[0] != rates[-1]:
        raise AudioError(f"sampling_rate={rates[0]} was given for audio that states {rates[-1]} Hz")
    return rates[0]


def _whole_rate(value: Any) -> int:
    whole = whole_number(value)
    if whole is None:
        raise AudioError(f"the sampling rate must be one whole number of Hz, got {value!r}")
    if not MIN_RATE <= whole <= MAX_RATE:
        raise AudioError(
            f"the sampling rate must be {MIN_RATE:,} to {MAX_RATE:,} Hz, got {value!r}; resample audio of any other "
            f"rate first"
        )
    return whole


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


class SoundReader:
    """A sound file from its first sample to its last; `opened` makes one.

    `samplerate` is in Hz; `frames` the samples of each channel that its header states, None where it states none;
    `n_bytes` how large the file is; `format` and `subtype` are libsndfile's names.
    """

    def __init__(self, file: BinaryIO, parts: Sequence[Link]) -> None:
        """Raises soundfile.SoundFileError where the first part cannot be opened, and AudioError for its rate."""
        self._file, self._parts, self._opened_parts = file, list(parts), 0
        self._sound = self._next()
        self.samplerate, self.channels = check_rate(self._sound.samplerate), int(self._sound.channels)
        self.format, self.subtype = self._sound.format, self._sound.subtype
        self.n_bytes = self._parts[-1].stop
        self.frames: int | None = self._stated if len(parts) == 1 else None

    def read(self, frames: int) -> np.ndarray:
        """The next samples float32 (S, C), S <= frames, and 0 only at the end. Raises AudioError for what is damaged,
        and where a part has another rate or other channels than the first."""
        while True:
            block = self._read_part(frames)
            if len(block) or self._opened_parts == len(self._parts):
                return block
            self._sound.close()
            self._sound = self._next()
            shape, expected = (self._sound.samplerate, self._sound.channels), (self.samplerate, self.channels)
            if shape != expected:
                raise AudioError(
                    f"it is {len(self._parts)} recordings in one file, of {expected[0]} Hz with {expected[1]} channels "
                    f"and of {shape[0]} Hz with {shape[1]}; take them apart first"
                )

    def close(self) -> None:
        """Close what is open, but not the caller's file."""
        self._sound.close()

    def _next(self) -> _Sequential:
        part = self._parts[self._opened_parts]
        self._view = View(self._file, part)
        sound = _Sequential(self._view)
        self._opened_parts, self._done = self._opened_parts + 1, 0
        self._stated = part.samples if part.patches or part.samples else int(sound.frames)
        return sound

    def _read_part(self, frames: int) -> np.ndarray:
        # First what is stated and then what is beyond it: an error there takes nothing away.
        rest = (self._stated or 0) - self._done
        block = np.full((min(frames, rest) if rest > 0 else frames, self.channels), np.nan, np.float32)
        try:
            block = self._sound.read(len(block), dtype="float32", always_2d=True, out=block)
        except soundfile.SoundFileError:
            # What was decoded before the error is in the block; a file that ends too early is read as far as it goes.
            block = block[: int(np.isnan(block[:, 0]).argmax())]
            if not self._view.is_at_end or not self._done + len(block):
                raise
            warnings.warn(
                f"after {self._done + len(block)} samples the sound file is cut short, or something that cannot be "
                f"decoded follows: not read",
                stacklevel=5,
            )
            self._view.seek(0, os.SEEK_END)
        if self._view.error is not None:
            raise self._view.error
        self._done += len(block)
        return block


class _Sequential(soundfile.SoundFile):
    """A sound file that is only read onward: the library would seek after each block, which fails or changes samples
    where a header states a false length."""

    def seekable(self) -> bool:
        return False


@contextlib.contextmanager
def opened(source: Any) -> Iterator[SoundReader]:
    """The sound file `source` (a path or an open binary file), with the library's errors as AudioError.

    What it is follows from its bytes alone, so that a path and the bytes of its file read alike.
    """
    with contextlib.ExitStack() as stack:
        name = "the sound file"
        is_path = isinstance(source, (str, os.PathLike))
        if is_path:
            name = os.fspath(source)
            if os.path.isdir(source):
                raise AudioError(f"{name} is a folder, not a sound file")
            if not os.path.exists(source):
                raise FileNotFoundError(f"no sound file {name!r}; text is taken as a path")
            source = stack.enter_context(open(source, "rb"))
        source, size = _measured(source)
        if size == 0:
            raise AudioError(f"{name} is empty (0 bytes)")
        try:
            reader = _reader(source, size, name)
            stack.callback(reader.close)
            yield reader
        except soundfile.SoundFileError as error:
            reason = getattr(error, "error_string", str(error))
            raise AudioError(f"cannot read {name} as audio: {reason}") from error
        except AudioError as error:
            raise AudioError(f"{name}: {error}" if is_path else str(error)) from error


def _measured(file: Any) -> tuple[Any, int]:
    """The file, one that can be searched also where a pipe was given, and its size in bytes."""
    if hasattr(file, "seekable") and not file.seekable():
        file = io.BytesIO(file.read())
    file.seek(0, os.SEEK_END)
    return file, int(file.tell())


def _reader(file: Any, stop: int, name: str) -> SoundReader:
    """A reader of a file that may have tags or junk before its audio. Raises AudioError, soundfile.SoundFileError."""
    start = tags_end(file, stop)
    reason = what_it_is(read_at(file, start, HEAD_BYTES))
    if reason is not None:
        raise AudioError(reason)
    try:
        return SoundReader(file, links(file, start, stop))
    except soundfile.SoundFileError:
        begin = found_start(file, start, stop)
        if begin is not None:
            return SoundReader(file, links(file, begin, stop))
        if Path(name).suffix.lower() in _HEADERLESS:
            raise AudioError(
                "it has no header that tells its rate and format; read its numbers, as with numpy.fromfile(path, "
                "'<i2'), and give them with their sampling rate"
            ) from None
        raise


def blocks(file: SoundReader) -> Iterator[np.ndarray]:
    """The file's samples as finite float32 blocks (S, C).

    Raises AudioError where there are none, and for a file that becomes many times larger than any recording does.
    """
    n_read, peak = 0, 0.0
    # A header may claim a thousand channels: a block holds so many numbers, however they are shared out.
    frames = max(1, _BLOCK // max(1, file.channels // 2))
    most = max(_FREE_NUMBERS, file.n_bytes * _NUMBERS_A_BYTE)
    while len(block := file.read(frames)):
        check_finite(block.T, n_read)
        n_read, peak = n_read + len(block), max(peak, peak_of(block))
        if n_read * file.channels > most:
            raise AudioError(
                f"its {file.n_bytes} bytes hold more than {most // file.channels} samples of {file.channels} channels, "
                f"which no recording does; it would fill the memory"
            )
        yield block
    warn_if_unscaled(peak)
    if n_read == 0:
        raise AudioError("it has no samples")
    if file.frames is not None and n_read < file.frames:
        warnings.warn(f"the audio file states {file.frames} samples but holds {n_read}: it is cut short", stacklevel=3)
