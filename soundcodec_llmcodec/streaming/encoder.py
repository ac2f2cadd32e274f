"""StreamEncoder: samples as they come to ids as they are ready.

Letters: C channels, Q codebook levels, F frames, S samples, N n_fft.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec import audio as audio_io
from soundcodec_llmcodec.coding import exact_inference
from soundcodec_llmcodec.nn.model import CodecModel, framed_samples
from soundcodec_llmcodec.streaming.exact import overlapping_frames
from soundcodec_llmcodec.streaming.features import FeatureStream, encoder_lookahead
from soundcodec_llmcodec.streaming.rates import RateStream, resampling_delay_s
from soundcodec_llmcodec.streaming.stream import CHUNK_FRAMES, Stream, positive


class StreamEncoder(Stream):
    """Push samples, get ids: put together, those of encoding the whole clip, however the samples are cut.

    The encoder is not causal: a frame's ids depend on `lookahead_frames` frames after it, so they come out
    `latency_s` after its last sample. Attention must be bounded.
    """

    def __init__(
        self,
        model: CodecModel,
        sampling_rate: int,
        *,
        chunk_frames: int = CHUNK_FRAMES,
        domain: str | None = None,
    ) -> None:
        """Samples come at `sampling_rate` Hz. The model runs once for `chunk_frames` new frames.

        Raises ValueError for a codec whose attention sees the whole clip, and for an unknown domain.
        """
        super().__init__()
        config = model.config
        if config.attention_window is None:
            raise ValueError(
                "this codec's attention sees the whole clip, so no id is settled before the clip ends and it cannot "
                "encode a stream; encode() the whole clip, or take a codec with a bounded attention_window"
            )
        self.model = model
        self.sampling_rate = audio_io.check_rate(sampling_rate)
        self.chunk_frames = positive("chunk_frames", chunk_frames)
        self._partition = config.partition(domain)
        self._begin()

    @property
    def lookahead_frames(self) -> int:
        """Frames after a frame that can change its ids: the layers' windows and kernels, the STFT's overlap, and the
        semantic branch's blocks."""
        return encoder_lookahead(self.model.config)

    @property
    def latency_s(self) -> float:
        """Seconds from a frame's last sample to its ids, at most, where samples are pushed as they are recorded.

        The look-ahead, at most `chunk_frames` - 1 frames until the model runs, and what the resampler holds back where
        `sampling_rate` is another than the codec's. Computing is not counted.
        """
        config = self.model.config
        frames = self.lookahead_frames + self.chunk_frames - 1
        return frames / config.frame_rate + resampling_delay_s(self.sampling_rate, config.sample_rate)

    @property
    def pending_frames(self) -> int:
        """Frames whose samples were pushed, in part at least, and whose ids have not come out."""
        config = self.model.config
        n_resampled = audio_io.resampled_length(self._taken, self.sampling_rate, config.sample_rate)
        return config.frames(n_resampled) - self._encoded

    def push(self, data: Any) -> Tensor:
        """Samples to the ids that are ready, maybe none: int64 (F,) on the CPU, (Q, F) with several levels.

        `data` is an array, tensor or list, (S,), or (C, S) or (S, C) whose channels are averaged, as `encode` takes it
        (two axes need more than 8 samples); integers are scaled by their type. Raises audio.AudioError for what is no
        audio (and then takes nothing of the push) and StreamError after flush or close.
        """
        self._check_open()
        return self._encode(self._mono(data), last=False)

    def flush(self) -> Tensor:
        """The rest of the ids; the clip ends here, its last frame filled with zeros."""
        return self._encode(np.zeros(0, dtype=np.float32), last=True) if self._end() else self._unit([])

    def _begin(self) -> None:
        config = self.model.config
        self._taken = 0
        self._encoded = 0
        self._rates = RateStream(self.sampling_rate, config.sample_rate)
        # Samples from the beginning of frame `_first` of the clip on; frames before `_next` are in the conformer.
        self._samples = torch.zeros(0, dtype=torch.float32, device="cpu")
        self._first = 0
        self._next = 0
        self._features = FeatureStream(self.model)

    def _mono(self, data: Any) -> np.ndarray:
        empty = len(data) == 0 if isinstance(data, (list, tuple)) else 0 in getattr(data, "shape", ())
        if empty:
            return np.zeros(0, dtype=np.float32)
        return audio_io.mono(audio_io.as_clip(data, self.sampling_rate))

    def _encode(self, samples: np.ndarray, last: bool) -> Tensor:
        self._taken += len(samples)
        resampled = torch.from_numpy(self._rates.push(samples, last))
        self._samples = torch.cat((self._samples, resampled))
        with exact_inference(self.model):
            return self._unit(list(self._steps(last)))

    def _steps(self, last: bool) -> Iterator[Tensor]:
        """Codes (Q, F) of each run of the model: runs lie on a grid, so ids do not depend on how samples are cut."""
        config = self.model.config
        # A frame looks at the samples up to this many after its own.
        beyond = config.n_fft - config.stft_padding - config.hop_length
        while (self._next + self.chunk_frames - self._first) * config.hop_length + beyond <= len(self._samples):
            yield self._step(self._next + self.chunk_frames, False)
        if last and self._taken:
            yield self._step(self._first + config.frames(len(self._samples)), True)

    def _step(self, stop: int, last: bool) -> Tensor:
        config, tokenizer = self.model.config, self.model.tokenizer
        framed = None
        if stop > self._next:
            framed = framed_samples(self._samples, config, self._next - self._first, stop - self._first)
            framed = framed[None].to(next(tokenizer.parameters()).device)
        features = self._features.push(framed, last)
        self._next = stop
        # What coming frames look back at, and what the clip's end is reflected on.
        first = max(0, stop - overlapping_frames(config) - 1)
        self._samples = self._samples[(first - self._first) * config.hop_length :].clone()
        self._first = first
        if not features.shape[1]:
            return torch.zeros(config.num_quantizers, 0, dtype=torch.int64, device="cpu")
        codes = tokenizer.vq(features.float(), *self._partition).codes[0].cpu()
        self._encoded += codes.shape[1]
        return codes

    def _unit(self, parts: list[Tensor]) -> Tensor:
        none = torch.zeros(self.model.config.num_quantizers, 0, dtype=torch.int64, device="cpu")
        codes = torch.cat([none, *parts], dim=1)
        return codes[0] if len(codes) == 1 else codes
