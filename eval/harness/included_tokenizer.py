"""A codec of one's own as what measures its tokens needs it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eval.harness.checked_codec import IncludedCodec
from eval.harness.model_specs import LoadError

if TYPE_CHECKING:
    from soundcodec_llmcodec.data.token_corpus import TokenSource


class IncludedTokenizer:
    """A codec of one's own: resampled to its rate, encoded one by one, each frame's levels after one another."""

    def __init__(self, codec: IncludedCodec) -> None:
        self._codec = codec
        self.source = source_of(codec)
        self.identity = codec.identity
        self.bitrate_bps = self.source.token_rate * math.log2(codec.codebook_size)

    def tokens(self, recordings: Sequence[tuple[np.ndarray, int]]) -> list[np.ndarray]:
        from soundcodec_llmcodec import audio
        from soundcodec_llmcodec.data.token_corpus import token_ids

        rate = self.source.sample_rate
        codes = [self._codec.encode(np.array(audio.resample(sound, own, rate))) for sound, own in recordings]
        return [token_ids(np.ascontiguousarray(item.T).reshape(-1), self.source) for item in codes]


def source_of(codec: IncludedCodec) -> TokenSource:
    """What token corpora and language models know of an included codec. Raises LoadError for one whose frames are
    no whole number of samples, or whose token rate is not stated."""
    from soundcodec_llmcodec.data.token_corpus import TokenSource

    name = codec.entry.name
    hop = codec.sample_rate * codec.num_quantizers / codec.token_rate if codec.token_rate else 0.0
    if not hop or not hop.is_integer():
        raise LoadError(
            f"{name} of {codec.entry.where}: a language model needs a token_rate whose frames are a whole number of "
            f"samples, got token_rate = {codec.token_rate} at {codec.sample_rate} Hz and {codec.num_quantizers} levels"
        )
    digest = hashlib.sha256(codec.identity.encode()).hexdigest()
    return TokenSource(name, digest, codec.sample_rate, int(hop), codec.codebook_size, codec.num_quantizers)
