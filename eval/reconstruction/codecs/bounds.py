"""Upper bounds: what no codec can exceed, at the clip's own rate and at a codec's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.harness import fingerprints
from eval.harness.clips import CorpusClip
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.shaping import to_clip, to_rate


class Identity:
    """The clip itself: the upper bound of every metric."""

    def __init__(self, label: str = "identity") -> None:
        self.info = CodecInfo(label, "bound", identity="identity", parameters=0)

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return [Coded(clip.samples) for clip in clips]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        return [np.array(item.payload, dtype=np.float32) for item in coded]


class Resampled:
    """The clip at `rate` Hz and back: the upper bound of a codec that works at that rate."""

    def __init__(self, rate: int = 16_000, label: str | None = None) -> None:
        if rate <= 0:
            raise ValueError(f"expected a rate in Hz above 0, got {rate}")
        described = fingerprints.identity(f"resample {rate}", of_adapter(__file__))
        name = label or f"resample_{rate // 1000}k"
        self.info = CodecInfo(name, "bound", identity=described, sample_rate=rate, parameters=0)
        self._rate = rate

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return [Coded(to_rate(clip, self._rate)) for clip in clips]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        return [to_clip(item.payload, self._rate, clip) for item, clip in zip(coded, clips, strict=True)]
