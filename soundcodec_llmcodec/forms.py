"""What callers give, as what the codec runs on, and its samples as what they get back.

Letters: C channels, Q codebook levels, S samples, F frames.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec import audio as audio_io
from soundcodec_llmcodec.audio import Clip
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.scalars import whole_number
from soundcodec_llmcodec.token_ids import TokenError, parse_codes
from soundcodec_llmcodec.tokens import Tokens


@dataclass(frozen=True)
class Recording:
    """A caller's audio: `channels` (S',) each, at the codec's rate; its own number of samples and its rate in Hz."""

    channels: list[Tensor]
    n_samples: int
    sampling_rate: int


@dataclass(frozen=True)
class DecodeRequest:
    """What to decode: codes (Q, F) a channel, and the rate (Hz) and samples at that rate to give back."""

    codes: list[Tensor]
    sampling_rate: int
    n_samples: int


def recording(audio: Any, sampling_rate: Any, keep_channels: bool, config: CodecConfig) -> Recording:
    """Audio in any form of `audio.as_clip`, averaged to one channel unless `keep_channels`. Raises AudioError."""
    path = audio_io.path_of(audio)
    if path is not None and not keep_channels:
        read = audio_io.read_mono(path, config.sample_rate)
        audio_io.check_rate(sampling_rate, read.sampling_rate)
        return Recording([torch.from_numpy(read.samples)], read.n_samples, read.sampling_rate)
    clip = audio_io.as_clip(audio, sampling_rate)
    channels = clip.samples if keep_channels else audio_io.mono(clip)[None]
    resampled = audio_io.resample(channels, clip.sampling_rate, config.sample_rate)
    return Recording([torch.from_numpy(channel) for channel in resampled], clip.n_samples, clip.sampling_rate)


def clips_of(audios: Any) -> list[Any]:
    """The clips of a batch: a list, any other iterable, or an array or tensor (B, S), (B, 1, S) or (B, C, S).

    Raises AudioError for what is one clip, which would fall apart into channels or samples.
    """
    kinds = (str, bytes, bytearray, memoryview, os.PathLike, Mapping, Clip)
    attributes = ("read", "get_all_samples", "sample_rate")
    if isinstance(audios, kinds) or any(hasattr(audios, name) for name in attributes) or audio_io.pair_of(audios):
        raise AudioError(f"expected several clips, got one {type(audios).__name__}; use encode(), or put it in a list")
    if not isinstance(audios, Iterable):
        raise AudioError(f"expected several clips, got {type(audios).__name__}")
    shape = tuple(getattr(audios, "shape", ()))
    columns = len(shape) == 2 and shape[1] <= audio_io.MAX_CHANNELS < shape[0]
    clips = [] if columns else list(audios)
    if columns or _is_number(clips):
        what = f"shape {shape}" if shape else f"a {type(audios).__name__} of numbers"
        raise AudioError(f"expected several clips, got {what}, which is one; use encode(), or give (clips, samples)")
    return clips


def rates_of(sampling_rates: Any, count: int) -> list[Any]:
    """A rate for each of `count` clips: one for all, or one each. Raises ValueError for another number of them."""
    if sampling_rates is None or isinstance(sampling_rates, str) or whole_number(sampling_rates) is not None:
        return [sampling_rates] * count
    rates = list(sampling_rates) if isinstance(sampling_rates, Iterable) else [sampling_rates] * count
    if len(rates) != count:
        raise ValueError(f"{count} clips came with {len(rates)} sampling rates")
    return rates


def token_clips_of(tokens: Any) -> list[Any]:
    """The clips of a batch of tokens: a list, any other iterable, or an array or tensor (B, F) or (B, Q, F).

    Raises TokenError for the tokens of one clip.
    """
    single = isinstance(tokens, (Tokens, str, bytes, Mapping)) or not isinstance(tokens, Iterable)
    clips = [] if single else list(tokens)
    if single or _is_number(clips):
        raise TokenError(f"expected the tokens of several clips, got one {type(tokens).__name__}; use decode()")
    return clips


def decode_request(
    tokens: Any,
    config: CodecConfig,
    maker: tuple[str, str],
    *,
    sampling_rate: Any = None,
    n_samples: Any = None,
    on_invalid: str = "raise",
    any_codec: bool = False,
) -> DecodeRequest:
    """Tokens in any form as what to decode, by the codec of that (hash, name), `maker`. Raises TokenError."""
    levels, size = config.levels_to_decode, config.codebook_size
    if isinstance(tokens, Tokens):
        _check_maker(tokens, config, maker, any_codec)
        codes = [parse_codes(channel, size, levels, on_invalid) for channel in tokens.codes]
        own_rate, own_length = tokens.sampling_rate, tokens.n_samples
    else:
        codes = [parse_codes(tokens, size, levels, on_invalid)]
        own_rate, own_length = config.sample_rate, codes[0].shape[1] * config.hop_length
    rate = own_rate if sampling_rate is None else audio_io.check_rate(sampling_rate)
    if n_samples is None:
        return DecodeRequest(codes, rate, audio_io.resampled_length(own_length, own_rate, rate))
    length = whole_number(n_samples)
    if length is None:
        raise TokenError(f"n_samples must be a whole number of samples, got {n_samples!r}")
    most = audio_io.resampled_length(codes[0].shape[1] * config.hop_length, config.sample_rate, rate)
    if not 1 <= length <= most:
        raise TokenError(f"{codes[0].shape[1]} frames hold 1 to {most} samples at {rate} Hz, not {length}")
    return DecodeRequest(codes, rate, length)


def at_rate(channels: Sequence[Tensor], request: DecodeRequest, own: int) -> np.ndarray:
    """Channels at the codec's `own` rate to (S,) or (C, S) as wanted."""
    rate, length = request.sampling_rate, request.n_samples
    needed = min(channels[0].shape[0], audio_io.resampled_length(length, rate, own))
    stacked = np.stack([channel[:needed].numpy() for channel in channels])
    fitted = audio_io.fit_length(audio_io.resample(stacked, own, rate), length)
    return fitted[0] if len(channels) == 1 else fitted


def _check_maker(tokens: Tokens, config: CodecConfig, maker: tuple[str, str], any_codec: bool) -> None:
    if tokens.codec_hash not in (None, maker[0]) and not any_codec:
        raise TokenError(
            f"these tokens were made by codec {str(tokens.codec_hash)[:12]}, this is {maker[0][:12]} ({maker[1]}); "
            "load the codec that made them, or pass any_codec=True"
        )
    given_by = (tokens.num_quantizers, tokens.codebook_size, tokens.hop_length, tokens.codec_sample_rate)
    sizes = (config.codebook_size, config.hop_length, config.sample_rate)
    ours = (" or ".join(map(str, config.levels_to_decode)), *sizes)
    if tokens.num_quantizers not in config.levels_to_decode or given_by[1:] != sizes:
        raise TokenError(
            "these tokens are of another kind of codec, which this one cannot decode: {} levels of {} codes, {} "
            "samples a frame at {} Hz; this codec has {} of {}, {} at {} Hz".format(*given_by, *ours)
        )


def _is_number(clips: Sequence[Any]) -> bool:
    """Whether what should be clips is a clip's numbers."""
    return bool(clips) and (isinstance(clips[0], Real) or getattr(clips[0], "ndim", None) == 0)
