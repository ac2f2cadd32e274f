"""LLMCodec: audio to tokens to audio, for one clip or many, a second or an hour.

Letters: C channels, Q codebook levels, S samples, F frames.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec import audio as audio_io
from soundcodec_llmcodec import checkpoints, coding, streaming
from soundcodec_llmcodec.audio import AudioError, Clip
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.precision import check_optimize, optimized
from soundcodec_llmcodec.streaming import StreamDecoder, StreamEncoder
from soundcodec_llmcodec.tokens import TokenError, Tokens, parse_codes

_Versions = tuple[tuple[int, int], ...]


class LLMCodec:
    """A codec in eval mode: `encode` gives `Tokens`, `decode` gives samples at the caller's rate, exactly as many.

    The encoder runs in float32 and without any randomness: one clip gives the same tokens alone, in a batch and beside
    any neighbour. Clips longer than `chunk_frames` are coded in chunks of that many frames, in bounded memory.
    """

    def __init__(
        self,
        config: CodecConfig,
        model: CodecModel,
        *,
        name: str = "unnamed",
        info: Mapping[str, Any] | None = None,
        chunk_frames: int = coding.CHUNK_FRAMES,
        optimize: str | None = None,
    ) -> None:
        """Wrap a model as it is: it is neither copied nor changed, and it is run in eval mode without gradients.

        `optimize` "bf16-decoder" decodes with bfloat16 products, which changes audio a little; "bf16" encodes so too,
        which changes some tokens. They hold a bfloat16 copy of those weights. One clip still has the same tokens alone
        and in a batch on a CPU; on other devices rounding may decide.
        """
        check_optimize(optimize)
        self.optimize = optimize
        self._lighter: tuple[_Versions, CodecModel] | None = None
        self.config = config
        self.model = model
        self.name = name
        self.info = dict(info or {})
        self.chunk_frames = chunk_frames
        self._hashed: tuple[_Versions, str] | None = None

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo: str | os.PathLike[str] = checkpoints.DEFAULT_NAME,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        device: str | torch.device = "cpu",
        optimize: str | None = None,
    ) -> LLMCodec:
        """Load by name, folder, file or hub id (`revision` and `local_files_only` as in huggingface_hub).

        Raises checkpoints.CheckpointError when it is not found or holds other weights than its config describes.
        """
        check_optimize(optimize)
        loaded = checkpoints.load(path_or_repo, revision=revision, local_files_only=local_files_only, device=device)
        return cls(loaded.config, loaded.model, name=loaded.name, info=loaded.info, optimize=optimize)

    @classmethod
    def random(cls, config: CodecConfig, seed: int = 0) -> LLMCodec:
        """An untrained codec with seeded weights (the global random state is left as it was)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, CodecModel(config).eval().requires_grad_(False), name=f"random-{seed}")

    def save_pretrained(self, folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> None:
        """Write `config.json` and `model.safetensors` into a folder; `from_pretrained` reads them back."""
        checkpoints.save(folder, self.config, self.model, self.info, dtype)

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return next(self.model.parameters()).device

    @property
    def weights_hash(self) -> str:
        """SHA-256 of config and weights, 64 hex digits: tokens and results carry it."""
        versions = self._versions()
        if self._hashed is None or self._hashed[0] != versions:
            self._hashed = (versions, checkpoints.weights_hash(self.config, self.model))
        return self._hashed[1]

    def _versions(self) -> _Versions:
        """Weights that are changed in place, by training on or by loading, have a new version each."""
        return tuple(
            (id(tensor), 0 if tensor.is_inference() else tensor._version)
            for tensor in self.model.state_dict(keep_vars=True).values()
        )

    def _running(self) -> CodecModel:
        """The model as `optimize` has it run."""
        if self.optimize is None:
            return self.model
        versions = self._versions()
        if self._lighter is None or self._lighter[0] != versions:
            self._lighter = (versions, optimized(self.model, self.optimize))
        return self._lighter[1]

    # -- the friendly face: any rate, any layout -------------------------------------------------------------------
    def encode(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        *,
        domain: str | None = None,
        keep_channels: bool = False,
        progress: bool = False,
    ) -> Tokens:
        """Audio to tokens.

        `audio` is an array or tensor (S,), (1, S), (C, S) or (S, C) of floats or ints with its `sampling_rate` in Hz
        (8,000 to 192,000), a path, bytes, or a dict with "array" and "sampling_rate", "path" or "bytes". Channels are
        averaged unless `keep_channels`, which codes each. Raises audio.AudioError on anything else.
        """
        channels, n_samples, rate = self._prepare(audio, sampling_rate, keep_channels)
        codes = [self.encode_samples(channel, domain=domain, progress=progress) for channel in channels]
        return self._tokens(codes, n_samples, rate)

    def encode_batch(
        self,
        audios: Sequence[Any],
        sampling_rates: Sequence[int | None] | int | None = None,
        *,
        domain: str | None = None,
        on_unreadable: Literal["raise", "return"] = "raise",
    ) -> list[Any]:
        """`encode` of each, in order; lengths and rates may differ, and each item's tokens are those it has alone.

        With on_unreadable="return", an item that cannot be read costs only itself: its error, with the reason, is in
        its place.
        """
        one_for_all = sampling_rates is None or isinstance(sampling_rates, Integral)
        rates: list[Any] = [sampling_rates] * len(audios) if one_for_all else list(sampling_rates)  # type: ignore[arg-type]
        if len(rates) != len(audios):
            raise ValueError(f"{len(audios)} clips came with {len(rates)} sampling rates")
        prepared: list[Any] = []
        for index, (audio, rate) in enumerate(zip(audios, rates, strict=True)):
            try:
                with coding.naming(index, len(audios)):
                    prepared.append(self._prepare(audio, rate, False))
            except (AudioError, OSError) as error:
                if on_unreadable == "raise":
                    raise
                prepared.append(error)
        readable = [item for item in prepared if not isinstance(item, Exception)]
        codes = iter(self.encode_samples_batch([channels[0] for channels, _, _ in readable], domain=domain))
        return [item if isinstance(item, Exception) else self._tokens([next(codes)], *item[1:]) for item in prepared]

    def decode(
        self,
        tokens: Any,
        *,
        sampling_rate: int | None = None,
        n_samples: int | None = None,
        on_invalid: str = "raise",
        any_codec: bool = False,
        progress: bool = False,
    ) -> np.ndarray:
        """Tokens to float32 samples (S,), or (C, S) when channels were kept.

        `tokens` is a `Tokens`, or bare ids (a list, an array or a tensor, (F,) or (Q, F)), or "<CODEC_i>..." text;
        nothing else is needed. A `Tokens` comes back at its own rate and length; bare ids at the codec's rate with
        `hop_length` samples a frame. `sampling_rate` and `n_samples` (at that rate) override both. Out-of-range ids
        are an error unless `on_invalid` is "drop" or "nearest". A `Tokens` made by another codec is refused unless
        `any_codec`.
        """
        codes, rate, length = self._codes_of(tokens, sampling_rate, n_samples, on_invalid, any_codec)
        samples = [self.decode_codes(channel, progress=progress) for channel in codes]
        return self._at_rate(samples, rate, length)

    def decode_batch(self, tokens: Sequence[Any], *, on_invalid: str = "raise") -> list[np.ndarray]:
        """`decode` of each, in order."""
        items = []
        for index, item in enumerate(tokens):
            with coding.naming(index, len(tokens)):
                items.append(self._codes_of(item, None, None, on_invalid, False))
        channels = self.decode_codes_batch([channel for codes, _, _ in items for channel in codes])
        results, start = [], 0
        for codes, rate, length in items:
            results.append(self._at_rate(channels[start : start + len(codes)], rate, length))
            start += len(codes)
        return results

    # -- bit by bit ------------------------------------------------------------------------------------------------
    def stream_decoder(
        self,
        *,
        chunk_frames: int = streaming.CHUNK_FRAMES,
        sampling_rate: int | None = None,
        lookahead_frames: int | None = None,
    ) -> StreamDecoder:
        """Ids as they come to samples at `sampling_rate` Hz (the codec's own where None): see StreamDecoder."""
        return StreamDecoder(
            self._running(), chunk_frames=chunk_frames, sampling_rate=sampling_rate, lookahead_frames=lookahead_frames
        )

    def stream_encoder(
        self, sampling_rate: int, *, chunk_frames: int = streaming.CHUNK_FRAMES, domain: str | None = None
    ) -> StreamEncoder:
        """Samples at `sampling_rate` Hz as they come to ids: see StreamEncoder."""
        return StreamEncoder(self._running(), sampling_rate, chunk_frames=chunk_frames, domain=domain)

    # -- the core, at the codec's own rate -------------------------------------------------------------------------
    def encode_samples(self, samples: Tensor, *, domain: str | None = None, progress: bool = False) -> Tensor:
        """Mono samples (S,) at `config.sample_rate` to codes (Q, F) int64 on the CPU, F = ceil(S / hop_length)."""
        return coding.encode(self._running(), samples, domain, self.chunk_frames, progress)

    def encode_samples_batch(self, samples: Sequence[Tensor], *, domain: str | None = None) -> list[Tensor]:
        """`encode_samples` of each (S_i,), in padded batches with every item masked to its own frames."""
        return coding.encode_batch(self._running(), samples, domain, self.chunk_frames)

    def decode_codes(self, codes: Tensor, n_samples: int | None = None, *, progress: bool = False) -> Tensor:
        """Codes (Q, F) to samples (S,) at `config.sample_rate` on the CPU; S is n_samples or F * hop_length."""
        coding.check_length(codes, n_samples, self.config)
        return coding.decode(self._running(), codes, self.chunk_frames, progress)[:n_samples]

    def decode_codes_batch(
        self, codes: Sequence[Tensor], n_samples: Sequence[int | None] | None = None
    ) -> list[Tensor]:
        """`decode_codes` of each (Q, F_i)."""
        lengths = [None] * len(codes) if n_samples is None else list(n_samples)
        for item, length in zip(codes, lengths, strict=True):
            coding.check_length(item, length, self.config)
        decoded = coding.decode_batch(self._running(), codes, self.chunk_frames)
        return [samples[:length] for samples, length in zip(decoded, lengths, strict=True)]

    # -- between the two -------------------------------------------------------------------------------------------
    def _prepare(self, audio: Any, sampling_rate: int | None, keep_channels: bool) -> tuple[list[Tensor], int, int]:
        """(channels at the codec's rate, the caller's number of samples, the caller's rate)."""
        path = audio_io.path_of(audio)
        if path is not None and not keep_channels:
            read = audio_io.read_mono(path, self.config.sample_rate)
            audio_io.check_rate(sampling_rate, read.sampling_rate)
            return [torch.from_numpy(read.samples)], read.n_samples, read.sampling_rate
        clip: Clip = audio_io.as_clip(audio, sampling_rate)
        channels = clip.samples if keep_channels else audio_io.mono(clip)[None]
        resampled = audio_io.resample(channels, clip.sampling_rate, self.config.sample_rate)
        return [torch.from_numpy(channel) for channel in resampled], clip.n_samples, clip.sampling_rate

    def _tokens(self, codes: list[Tensor], n_samples: int, sampling_rate: int) -> Tokens:
        return Tokens(
            codes=torch.stack(codes),
            n_samples=n_samples,
            sampling_rate=sampling_rate,
            codebook_size=self.config.codebook_size,
            codec_sample_rate=self.config.sample_rate,
            hop_length=self.config.hop_length,
            codec_hash=self.weights_hash,
            codec_name=self.name,
        )

    def _codes_of(
        self, tokens: Any, sampling_rate: int | None, n_samples: int | None, on_invalid: str, any_codec: bool
    ) -> tuple[list[Tensor], int, int]:
        """(codes (Q, F) a channel, the rate to give back, the samples to give back at that rate)."""
        levels, size = self.config.num_quantizers, self.config.codebook_size
        if isinstance(tokens, Tokens):
            if tokens.codec_hash not in (None, self.weights_hash) and not any_codec:
                raise TokenError(
                    f"these tokens were made by codec {str(tokens.codec_hash)[:12]}, this is {self.weights_hash[:12]} "
                    f"({self.name}); load the codec that made them, or pass any_codec=True"
                )
            made = (tokens.num_quantizers, tokens.codebook_size, tokens.hop_length, tokens.codec_sample_rate)
            ours = (levels, size, self.config.hop_length, self.config.sample_rate)
            if made != ours:
                raise TokenError(
                    "these tokens are of another kind of codec, which this one cannot decode: {} levels of {} codes, "
                    "{} samples a frame at {} Hz; this codec has {} of {}, {} at {} Hz".format(*made, *ours)
                )
            codes = [parse_codes(channel, size, levels, on_invalid) for channel in tokens.codes]
            own_rate, own_length = tokens.sampling_rate, tokens.n_samples
        else:
            codes = [parse_codes(tokens, size, levels, on_invalid)]
            own_rate, own_length = self.config.sample_rate, codes[0].shape[1] * self.config.hop_length
        rate = own_rate if sampling_rate is None else audio_io.check_rate(sampling_rate)
        length = audio_io.resampled_length(own_length, own_rate, rate) if n_samples is None else n_samples
        if n_samples is not None:
            if isinstance(n_samples, bool) or not isinstance(n_samples, Integral):
                raise TokenError(f"n_samples must be a whole number of samples, got {n_samples!r}")
            most = audio_io.resampled_length(codes[0].shape[1] * self.config.hop_length, self.config.sample_rate, rate)
            if not 1 <= n_samples <= most:
                raise TokenError(f"{codes[0].shape[1]} frames hold 1 to {most} samples at {rate} Hz, not {n_samples}")
        return codes, rate, length

    def _at_rate(self, channels: Sequence[Tensor], rate: int, length: int) -> np.ndarray:
        """Channels at the codec's rate to (S,) or (C, S) with `length` samples at `rate`."""
        own = self.config.sample_rate
        needed = min(channels[0].shape[0], audio_io.resampled_length(length, rate, own))
        stacked = np.stack([channel[:needed].numpy() for channel in channels])
        fitted = audio_io.fit_length(audio_io.resample(stacked, own, rate), length)
        return fitted[0] if len(channels) == 1 else fitted
