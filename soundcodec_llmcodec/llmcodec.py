"""LLMCodec: audio to tokens to audio, for one clip or many, a second or an hour.

Letters: C channels, Q codebook levels, S samples, F frames.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec import checkpoints, coding, forms, streaming
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.forking import one_thread_after_forks
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.precision import check_optimize, float32_on_the_cpu, optimized
from soundcodec_llmcodec.portable import packed_model, unpacked_model
from soundcodec_llmcodec.streaming import StreamDecoder, StreamEncoder
from soundcodec_llmcodec.tokens import Tokens

_Versions = tuple[tuple[int, int], ...]
# What belongs to the weights that are in memory, and is computed anew where it is missing.
_NOT_KEPT = {"_hashed": None, "_lighter": None}


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
        chunk_frames: int | None = None,
        optimize: str | None = None,
    ) -> None:
        """Wrap a model as it is: it is neither copied nor changed, and it is run in eval mode without gradients.

        `chunk_frames` of None are twice `coding.CHUNK_FRAMES` where attention is bounded, as fewer frames are then
        computed twice, and that many where it is not, as cost grows with their square.

        `optimize` "bf16-decoder" decodes with bfloat16 products, which changes audio a little; "bf16" encodes so too,
        which changes some tokens. They hold a bfloat16 copy of those weights. One clip still has the same tokens alone
        and in a batch on a CPU; on other devices rounding may decide.
        """
        check_optimize(optimize)
        one_thread_after_forks()
        self.optimize = optimize
        self._lighter: tuple[_Versions, CodecModel] | None = None
        self.config = config
        self.model = model
        self.name = name
        self.info = dict(info or {})
        if chunk_frames is None:
            chunk_frames = coding.CHUNK_FRAMES * (1 if config.attention_window is None else 2)
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
        levels: int | None = None,
    ) -> LLMCodec:
        """Load by name, folder, file or hub id (`revision` and `local_files_only` as in huggingface_hub); with `levels`
        as `with_levels` has it.

        Raises checkpoints.CheckpointError when it is not found or holds other weights than its config describes, and
        ValueError for `levels` that it was not made for.
        """
        check_optimize(optimize)
        # Weights that can be trained on, also where the caller is in inference mode.
        with torch.inference_mode(False):
            loaded = checkpoints.load(path_or_repo, revision=revision, local_files_only=local_files_only, device=device)
        codec = cls(loaded.config, loaded.model, name=loaded.name, info=loaded.info, optimize=optimize)
        return codec if levels is None else codec.with_levels(levels)

    @classmethod
    def random(cls, config: CodecConfig, seed: int = 0) -> LLMCodec:
        """An untrained codec with seeded weights (the global random state is left as it was)."""
        with torch.random.fork_rng(devices=[]), float32_on_the_cpu():
            torch.manual_seed(seed)
            return cls(config, CodecModel(config).eval().requires_grad_(False), name=f"random-{seed}")

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the fields, and the weights as bytes; nothing that can be computed anew."""
        state = {**vars(self), **_NOT_KEPT}
        # A codec of graphs has no model.
        return {**state, "model": packed_model(self.model)} if "model" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        one_thread_after_forks()
        vars(self).update(state)
        if "model" in state:
            self.model = unpacked_model(self.config, state["model"])

    def __copy__(self) -> LLMCodec:
        """Another codec around the same model."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> LLMCodec:
        """Another codec with a model of its own, compiled or hooked as this one's."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update(copy.deepcopy({**vars(self), **_NOT_KEPT}, memo))
        return twin

    def save_pretrained(self, folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> None:
        """Write `config.json` and `model.safetensors` into a folder; `from_pretrained` reads them back."""
        checkpoints.save(folder, self.config, self.model, self.info, dtype)

    def __repr__(self) -> str:
        hashed = getattr(self, "_hashed", None)
        short_hash = "" if hashed is None else f", {hashed[1][:12]}"
        levels = "" if self.config.num_quantizers == 1 else f"{self.config.num_quantizers} levels of "
        return (
            f"{type(self).__name__}({self.name!r}, {self.sample_rate} Hz, {self.frame_rate:g} frames/s, "
            f"{levels}{self.config.codebook_size} codes, on {self.device}{short_hash})"
        )

    def to(self, device: str | torch.device) -> LLMCodec:
        """Move the model to a device, in place as torch.nn.Module does, and return the codec.

        Streams that are open must be `reset`. Raises TypeError for a type: a codec runs in float32, and
        `optimize` makes it faster; and checkpoints.CheckpointError where the device cannot be used.
        """
        if isinstance(device, torch.dtype):
            raise TypeError(f"a codec runs in float32, not {device}; load it with optimize='bf16' to have it faster")
        self.model.to(checkpoints.usable_device(device))
        self._lighter = None
        return self

    def with_levels(self, levels: int) -> LLMCodec:
        """A codec of the first `levels` codebook levels: fewer tokens, which are the same in those levels.

        It is another codec, with a bit rate and a hash of its own, which every tool takes and `save_pretrained` writes.
        Raises ValueError for a number that is not among the config's `levels_to_decode`.
        """
        self.config.check_levels(levels)
        if levels == self.config.num_quantizers:
            return self
        choices = tuple(n for n in self.config.level_choices if n <= levels)
        config = dataclasses.replace(
            self.config, num_quantizers=levels, level_choices=choices if len(choices) > 1 else ()
        )
        model = checkpoints.first_levels(self.model, config)
        chunk = self.chunk_frames
        return type(self)(config, model, name=self.name, info=self.info, chunk_frames=chunk, optimize=self.optimize)

    @property
    def sample_rate(self) -> int:
        """The codec's own rate in Hz; audio of any other is resampled."""
        return self.config.sample_rate

    @property
    def frame_rate(self) -> float:
        """Frames a second, Hz: ids a second of a codec with one level."""
        return self.config.frame_rate

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

        `audio` is an array or tensor (S,), (1, S), (1, 1, S), (C, S) or (S, C) of floats or ints with its
        `sampling_rate` in Hz (8,000 to 192,000), a pair of both, a path, bytes, or a dict with "array" and
        "sampling_rate", "path" or "bytes". Channels are averaged unless `keep_channels`, which codes each. Raises
        audio.AudioError on anything else.
        """
        recording = forms.recording(audio, sampling_rate, keep_channels, self.config)
        codes = [self.encode_samples(channel, domain=domain, progress=progress) for channel in recording.channels]
        return self._tokens(codes, recording)

    def encode_batch(
        self,
        audios: Iterable[Any],
        sampling_rates: Iterable[Any] | int | None = None,
        *,
        domain: str | None = None,
        on_unreadable: Literal["raise", "return"] = "raise",
    ) -> list[Any]:
        """`encode` of each, in order; lengths and rates may differ, and each item's tokens are those it has alone.

        `audios` is a list of what `encode` takes, in which (C, S) is a clip of C channels; or an array or tensor
        (B, S), (B, 1, S) or (B, C, S), which is B clips. Raises audio.AudioError, which names the item; with
        on_unreadable="return", an item that cannot be read costs only itself: its error, with the reason, is in its
        place.
        """
        clips = forms.clips_of(audios)
        recordings: list[Any] = []
        for index, (audio, rate) in enumerate(zip(clips, forms.rates_of(sampling_rates, len(clips)), strict=True)):
            try:
                with coding.naming(index, len(clips)):
                    recordings.append(forms.recording(audio, rate, False, self.config))
            except (AudioError, OSError) as error:
                if on_unreadable == "raise":
                    raise
                recordings.append(error)
        readable = [item.channels[0] for item in recordings if not isinstance(item, Exception)]
        codes = iter(self.encode_samples_batch(readable, domain=domain))
        return [item if isinstance(item, Exception) else self._tokens([next(codes)], item) for item in recordings]

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

        `tokens` is a `Tokens`, or bare ids (a list, a range, an array or a tensor, (F,), (Q, F) or (1, Q, F)), or
        "<CODEC_i>..." text; nothing else is needed. A `Tokens` comes back at its own rate and length; bare ids at the
        codec's rate with `hop_length` samples a frame. `sampling_rate` and `n_samples` (at that rate) override both.
        Out-of-range ids are an error unless `on_invalid` is "drop" or "nearest". A `Tokens` made by another codec is
        refused unless `any_codec`.
        """
        request = forms.decode_request(
            tokens,
            self.config,
            (self.weights_hash, self.name),
            sampling_rate=sampling_rate,
            n_samples=n_samples,
            on_invalid=on_invalid,
            any_codec=any_codec,
        )
        samples = [self.decode_codes(channel, progress=progress) for channel in request.codes]
        return forms.at_rate(samples, request, self.config.sample_rate)

    def decode_batch(self, tokens: Iterable[Any], *, on_invalid: str = "raise") -> list[np.ndarray]:
        """`decode` of each, in order: a list of what it takes, or an array or tensor (B, F) or (B, Q, F)."""
        clips, requests = forms.token_clips_of(tokens), []
        for index, item in enumerate(clips):
            with coding.naming(index, len(clips)):
                maker = (self.weights_hash, self.name)
                requests.append(forms.decode_request(item, self.config, maker, on_invalid=on_invalid))
        channels = self.decode_codes_batch([channel for request in requests for channel in request.codes])
        results, start = [], 0
        for request in requests:
            stop = start + len(request.codes)
            results.append(forms.at_rate(channels[start:stop], request, self.config.sample_rate))
            start = stop
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

    def _tokens(self, codes: list[Tensor], made_of: forms.Recording) -> Tokens:
        return Tokens(
            codes=torch.stack(codes),
            n_samples=made_of.n_samples,
            sampling_rate=made_of.sampling_rate,
            codebook_size=self.config.codebook_size,
            codec_sample_rate=self.config.sample_rate,
            hop_length=self.config.hop_length,
            codec_hash=self.weights_hash,
            codec_name=self.name,
        )
