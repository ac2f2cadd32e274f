"""A codec as what measures its tokens needs it: recordings in, token ids out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

# torch is imported where it is needed: names are checked, and refused, without it.
if TYPE_CHECKING:
    from soundcodec_llmcodec.data.token_corpus import TokenSource


class AudioTokenizer(Protocol):
    """A codec as this harness needs it."""

    @property
    def source(self) -> TokenSource:
        """The codec's facts and hash."""

    @property
    def identity(self) -> str:
        """Changes with anything that can change a token."""

    def tokens(self, recordings: Sequence[tuple[np.ndarray, int]]) -> list[np.ndarray]:
        """Recordings, each samples float32 (S,) and their rate in Hz, as tokens int64 (N,) in [0, V), in order."""


class CodecTokenizer:
    """An LLMCodec: resampled to its rate, encoded in one batch, each frame's levels after one another."""

    def __init__(self, codec: Any) -> None:
        from soundcodec_llmcodec.data.token_corpus import TokenSource

        self._codec = codec
        self.source: TokenSource = TokenSource.of(codec)
        self.identity = f"weights {codec.weights_hash}; device {codec.device.type}"

    @property
    def bitrate_bps(self) -> float:
        """Bits a second of all tokens."""
        return float(self._codec.config.bitrate_bps)

    def tokens(self, recordings: Sequence[tuple[np.ndarray, int]]) -> list[np.ndarray]:
        import torch

        from soundcodec_llmcodec import audio
        from soundcodec_llmcodec.data.token_corpus import token_ids

        rate = self.source.sample_rate
        samples = [torch.from_numpy(audio.resample(sound, audio.check_rate(own), rate)) for sound, own in recordings]
        codes = self._codec.encode_samples_batch(samples)
        return [token_ids(np.ascontiguousarray(item.numpy().T).reshape(-1), self.source) for item in codes]
