"""A custom codec (see eval/harness/checked_codec.py) as reconstruction measures one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from eval.harness import checked_codec, fingerprints
from eval.harness.checked_codec import IncludedCodec
from eval.harness.clips import CorpusClip
from eval.harness.include import Included
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.shaping import to_clip, to_rate


class MeasuredIncludedCodec:
    """An included codec as the harness measures one: clip by clip, resampled to its rate and back."""

    def __init__(self, codec: IncludedCodec, label: str, device: str = "cpu") -> None:
        self._codec = codec
        self.info = CodecInfo(
            name=label,
            kind="included",
            checkpoint=codec.entry.where,
            checkpoint_hash=codec.entry.digest,
            identity=fingerprints.identity(codec.identity, of_adapter(__file__, checked_codec.__file__)),
            sample_rate=codec.sample_rate,
            bitrate_bps=codec.bitrate_bps,
            token_rate=codec.token_rate,
            codebook_size=codec.codebook_size,
            num_quantizers=codec.num_quantizers,
            device=device,
        )

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return [self._encode(clip) for clip in clips]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        rate = self._codec.sample_rate
        return [to_clip(self._codec.decode(item.payload), rate, clip) for item, clip in zip(coded, clips, strict=True)]

    def _encode(self, clip: CorpusClip) -> Coded:
        # A copy: what somebody's code does to its input is not to reach the clip.
        codes = self._codec.encode(np.array(to_rate(clip, self._codec.sample_rate)))
        counted = None
        if self._codec.bitrate_bps is None:
            counted = round(codes.size * math.log2(self._codec.codebook_size))
        return Coded(codes, codes, counted)


def load(entry: Included, label: str) -> MeasuredIncludedCodec:
    """The codec under a label. Raises LoadError."""
    return MeasuredIncludedCodec(IncludedCodec(entry), label)
