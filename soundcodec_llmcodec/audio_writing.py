"""Sound files written whole or not at all, with the system's errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.scalars import whole_number

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
