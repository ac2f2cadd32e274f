"""Audio in and out: read, downmix, resample, trim. The only place where rates change.

Samples are float32; integers are scaled by their type's range to [-1, 1). Values beyond that range are allowed in
float audio and passed on as they are: only `write_audio` to a fixed-point format clips. A peak above 10 is warned of.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import soxr
import torch

from soundcodec_llmcodec.audio_files import (
    MAX_RATE,
    MIN_RATE,
    AudioError,
    blocks,
    check_finite,
    check_rate,
    opened,
    peak_of,
    warn_if_unscaled,
)
from soundcodec_llmcodec.audio_writing import write_audio
from soundcodec_llmcodec.scalars import whole_number

__all__ = [
    "MAX_RATE",
    "MIN_RATE",
    "AudioError",
    "Clip",
    "MonoAudio",
    "as_clip",
    "check_rate",
    "fit_length",
    "mono",
    "pair_of",
    "path_of",
    "read_mono",
    "resample",
    "resampled_length",
    "write_audio",
]

MAX_CHANNELS = 8
_QUALITY = "HQ"
_BLOCK = 1 << 18
_OFFSET_BINARY = {"uint8": 128, "uint16": 32_768}


@dataclass(frozen=True)
class Clip:
    """Audio at its own rate: `samples` is float32 (C, S), `sampling_rate` in Hz."""

    samples: np.ndarray
    sampling_rate: int

    @property
    def n_samples(self) -> int:
        """Samples of each channel, S."""
        return int(self.samples.shape[1])

    @property
    def channels(self) -> int:
        """Channels, C."""
        return int(self.samples.shape[0])


class MonoAudio(NamedTuple):
    """A file read as one channel: `samples` float32 (S',) at the asked rate, and what the file itself held."""

    samples: np.ndarray
    n_samples: int
    sampling_rate: int
    channels: int


def as_clip(audio: Any, sampling_rate: int | None = None) -> Clip:
    """Any usual form of audio as a Clip; the caller's data is neither changed nor shared.

    `audio` is an array, tensor or list of numbers, shaped (S,), (C, S) or (S, C) where that is unambiguous: the
    channels are the axis of at most 8 and the other one is longer than 8; before them may stand a batch's axis of 1.
    Or a pair of such samples and their rate, in either order; a path, the bytes of a sound file, an open binary file, a
    dict with "array" and "sampling_rate", "bytes" or "path", an item with such a dict under "audio", or a decoder with
    `get_all_samples()`, or what that gives. `sampling_rate` (Hz, 8,000 to 192,000) is needed for bare arrays;
    beside audio that knows its rate, it must agree. Signed integers are scaled by their type's range, uint8 and
    uint16 are offset binary as in WAV files.

    Raises AudioError for audio that is empty, not finite, not numbers, of an unclear layout, or without a usable
    rate, and FileNotFoundError for a missing file.
    """
    if isinstance(audio, Clip):
        check_rate(sampling_rate, audio.sampling_rate)
        return Clip(audio.samples.copy(), audio.sampling_rate)
    if isinstance(audio, Mapping):
        return _clip_of_mapping(audio, sampling_rate)
    if isinstance(audio, (str, os.PathLike)) or hasattr(audio, "read"):
        return _clip_of_file(audio, sampling_rate)
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return _clip_of_file(io.BytesIO(audio), sampling_rate)
    pair = pair_of(audio)
    if pair is not None:
        return as_clip(pair[0], check_rate(sampling_rate, pair[1]))
    if hasattr(audio, "get_all_samples"):
        audio = audio.get_all_samples()
    if hasattr(audio, "data") and hasattr(audio, "sample_rate"):
        rate = check_rate(sampling_rate, audio.sample_rate)
        array = _numbers(audio.data)
        return Clip(_float32(array[None] if array.ndim == 1 else array), rate)
    array = _numbers(audio)
    if sampling_rate is None:
        raise AudioError("audio given as an array needs its sampling rate; pass sampling_rate=... in Hz")
    return Clip(_float32(_channels_first(array)), check_rate(sampling_rate))


def path_of(audio: Any) -> str | os.PathLike[str] | None:
    """The path of audio that is nothing but a sound file's path, bare or in a dict; None for every other form.

    A dict that states a rate beside its path is left to `as_clip`, which checks that the file agrees.
    """
    while isinstance(audio, Mapping):
        if any(audio.get(key) is not None for key in ("array", "bytes", "sampling_rate")):
            return None
        audio = audio["audio"] if audio.get("audio") is not None else audio.get("path")
    return audio if isinstance(audio, (str, os.PathLike)) else None


def pair_of(audio: Any) -> tuple[Any, Any] | None:
    """(samples, rate) of a pair as torchaudio, librosa and soundfile give it, or gradio the other way round.

    None for everything else: for numbers, and for channels, of which there may be two as well.
    """
    if not isinstance(audio, (tuple, list)) or len(audio) != 2:
        return None
    first, second = (isinstance(part, (list, tuple)) or getattr(part, "ndim", 0) > 0 for part in audio)
    if first == second:
        return None
    samples, rate = audio if first else (audio[1], audio[0])
    return (samples, rate) if whole_number(rate) is not None else None


def mono(clip: Clip) -> np.ndarray:
    """The mean over channels: float32 (S,)."""
    return _downmix(clip.samples, axis=0)


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Samples that n_samples become at another rate: ceil(n * to / from), exact."""
    return -(-n_samples * to_rate // from_rate)


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Samples (..., S) at another rate: a new float32 array (..., resampled_length(S)), by soxr HQ."""
    samples = np.asarray(samples, dtype=np.float32)
    if from_rate == to_rate:
        return samples.copy()
    length = resampled_length(samples.shape[-1], from_rate, to_rate)
    rows = samples.reshape(-1, samples.shape[-1])
    out = np.empty((len(rows), length), dtype=np.float32)
    for row, target in zip(rows, out, strict=True):
        # In blocks straight into the result: an hour at 48 kHz is 0.7 GB, which must not be there twice.
        stream = _resampler(from_rate, to_rate)
        blocks_of_row = [row[start : start + _BLOCK] for start in range(0, len(row), _BLOCK)]
        position = 0
        for index, block in enumerate([*blocks_of_row, _tail(from_rate, to_rate)]):
            chunk = stream.resample_chunk(block, last=index == len(blocks_of_row))
            target[position : position + len(chunk)] = chunk[: max(0, length - position)]
            position += len(chunk)
    return out.reshape(*samples.shape[:-1], length)


def fit_length(samples: Any, n_samples: int) -> Any:
    """Samples (..., S), an array or a tensor, trimmed or zero-padded at the end to (..., n_samples)."""
    missing = n_samples - samples.shape[-1]
    if missing <= 0:
        return samples[..., :n_samples]
    if isinstance(samples, torch.Tensor):
        return torch.nn.functional.pad(samples, (0, missing))
    return np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, missing)])


def read_mono(path: Any, rate: int) -> MonoAudio:
    """A sound file as one channel at `rate` Hz, read block by block, so that the file never lies in memory whole.

    Gives what `resample(mono(as_clip(path)))` gives, to 1e-6. Raises as `as_clip` does.
    """
    with opened(path) as file:
        from_rate, n_samples = file.samplerate, 0
        stream = _resampler(from_rate, rate) if from_rate != rate else None
        # A bytearray grows in place: neither the header's length is trusted nor are blocks joined by a second copy.
        out = bytearray()
        for block in blocks(file):
            mono_block = _downmix(block, axis=1)
            n_samples += len(mono_block)
            out += (mono_block if stream is None else stream.resample_chunk(mono_block)).tobytes()
        if stream is not None:
            out += stream.resample_chunk(_tail(from_rate, rate), last=True).tobytes()
        length = resampled_length(n_samples, from_rate, rate)
        return MonoAudio(np.frombuffer(out, dtype=np.float32)[:length], n_samples, from_rate, file.channels)


# -- from the caller's forms to arrays ---------------------------------------------------------------------------------
def _clip_of_mapping(item: Mapping[str, Any], sampling_rate: int | None) -> Clip:
    if item.get("audio") is not None:
        stored_rate = item.get("sampling_rate")
        return as_clip(item["audio"], sampling_rate if stored_rate is None else check_rate(sampling_rate, stored_rate))
    stored_rate = item.get("sampling_rate")
    if stored_rate is not None:
        sampling_rate = check_rate(sampling_rate, stored_rate)
    for key in ("array", "bytes", "path"):
        if item.get(key) is not None:
            return as_clip(item[key], sampling_rate)
    raise AudioError(f'expected a dict with "array" and "sampling_rate", "bytes" or "path", got keys {list(item)}')


def _clip_of_file(source: Any, sampling_rate: int | None) -> Clip:
    with opened(source) as file:
        rate = check_rate(sampling_rate, file.samplerate)
        # A bytearray grows in place, so that no second copy of a long file is made.
        data = bytearray()
        for block in blocks(file):
            data += block.tobytes()
        samples = np.frombuffer(data, dtype=np.float32).reshape(-1, file.channels)
    return Clip(np.ascontiguousarray(samples.T), rate)


def _numbers(audio: Any) -> np.ndarray:
    """The caller's numbers as a numpy array of a usable type; it may still share the caller's memory."""
    if isinstance(audio, torch.Tensor):
        tensor = audio.detach().cpu()
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor.resolve_conj().resolve_neg()).numpy()
    elif isinstance(audio, (list, tuple)) and any(getattr(part, "ndim", 0) for part in audio):
        raise AudioError(
            "a list of arrays is a batch, not one audio: encode_batch() takes it; or stack one audio's channels to "
            "one array"
        )
    elif isinstance(audio, (list, tuple)) or hasattr(audio, "__array__") or hasattr(audio, "typecode"):
        try:
            array = np.asarray(audio)
        except ValueError as error:
            raise AudioError(f"the list of samples is ragged or not all numbers: {error}") from error
    else:
        raise AudioError(f"expected audio as an array, path, bytes or dict, got {type(audio).__name__}")
    if array.dtype.kind not in "iuf":
        raise AudioError(f"samples must be real numbers, got {array.dtype} of shape {array.shape}")
    if array.dtype.kind in "iu" and array.size and array.dtype.name not in ("int8", "int16", "int32", *_OFFSET_BINARY):
        raise AudioError(f"{array.dtype} samples have no known full scale; give int16, int32 or floats in [-1, 1]")
    return array


def _channels_first(array: np.ndarray) -> np.ndarray:
    """(S,), (C, S) or (S, C), also after an axis of 1, as (C, S). Raises AudioError where the shape is unclear."""
    if array.size == 0 and array.ndim in (1, 2, 3):
        raise AudioError(f"the audio is empty (shape {array.shape})")
    if array.ndim == 1 or array.shape == (1, 1) or (array.ndim == 3 and array.shape[:2] == (1, 1)):
        return array.reshape(1, -1)
    if array.ndim == 3 and array.shape[0] > 1:
        raise AudioError(
            f"shape {array.shape} is a batch of {array.shape[0]} clips, not one; encode_batch() takes it as it is"
        )
    inner = array[0] if array.ndim == 3 else array
    if inner.ndim == 2 and min(inner.shape) <= MAX_CHANNELS < max(inner.shape):
        return inner if inner.shape[0] <= MAX_CHANNELS else inner.T
    raise AudioError(
        f"cannot tell samples from channels in shape {array.shape}; give (samples,), or two axes of which one has "
        f"at most {MAX_CHANNELS} channels and the other more than {MAX_CHANNELS} samples"
    )


def _float32(array: np.ndarray) -> np.ndarray:
    """A finite, contiguous float32 copy of (C, S) numbers; integers scaled to [-1, 1)."""
    if array.ndim != 2 or array.size == 0:
        raise AudioError(f"expected samples, got shape {array.shape}")
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            samples = np.array(array, dtype=np.float32, order="C")
        check_finite(samples)
        warn_if_unscaled(peak_of(samples))
        return samples
    offset = _OFFSET_BINARY.get(array.dtype.name, 0)
    scale = 2.0 ** (8 * array.dtype.itemsize - 1)
    return np.ascontiguousarray((array.astype(np.float64) - offset) / scale, dtype=np.float32)


def _downmix(samples: np.ndarray, axis: int) -> np.ndarray:
    return np.ascontiguousarray(samples.mean(axis=axis, dtype=np.float64), dtype=np.float32)


def _resampler(from_rate: int, to_rate: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality=_QUALITY)


def _tail(from_rate: int, to_rate: int) -> np.ndarray:
    """Zeros after the end, enough that the resampler's rounding never leaves an output sample out."""
    return np.zeros(from_rate // to_rate + 2, dtype=np.float32)
