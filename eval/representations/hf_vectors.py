"""A codec of transformers as a representation: the code vectors of its first levels, summed.

Letters: S samples, F frames, D features, Q codebook levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from eval.harness.hf_tokens import HuggingFaceTokens
from eval.harness.model_specs import UnknownSpecError
from eval.representations.representation import SAMPLE_RATE, checked_samples
from soundcodec_llmcodec.audio import resample

_MOST_FRAMES_LACKING = 2


class HuggingFaceVectors:
    """What the decoder of a model of transformers gets of the first levels."""

    def __init__(
        self, source: str, options: Mapping[str, str], name: str, levels: int | None = None, device: str = "cpu"
    ) -> None:
        """All levels in use for None. Raises LoadError where the model cannot be had or has no vectors by level, and
        UnknownSpecError for options or levels that it does not have."""
        self.codec = HuggingFaceTokens(source, options, device)
        self.name, self.source = name, source
        there = self.codec.num_quantizers
        if levels is not None and not 1 <= levels <= there:
            raise UnknownSpecError(
                f"{name} asks for {levels} levels; {source} codes {there} here (more by ?bandwidth= or "
                "?num_quantizers=, where it has them)"
            )
        self.levels = there if levels is None else levels
        self.dimensions = self.codec.vectors(np.zeros((self.levels, 1), np.int64)).shape[1]

    @property
    def frame_rate(self) -> float:
        """Frames a second, of the codec."""
        return self.codec.token_rate / self.codec.num_quantizers

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Samples (S,) to code vectors (F, D). Where the model gives a frame or two fewer, the last one is repeated."""
        samples = checked_samples(samples)
        count = math.ceil(len(samples) * self.frame_rate / SAMPLE_RATE)
        codes = self.codec.encode(resample(samples, SAMPLE_RATE, self.codec.sample_rate))[: self.levels, :count]
        lacking = count - codes.shape[1]
        if lacking > _MOST_FRAMES_LACKING:
            raise ValueError(f"{self.source} gave {codes.shape[1]} frames for {len(samples)} samples, expected {count}")
        return self.codec.vectors(np.pad(codes, ((0, 0), (0, lacking)), mode="edge"))

    def facts(self) -> dict[str, Any]:
        """The model by name, hash, options and release of transformers, and how many of its levels."""
        codec = self.codec
        return {
            "kind": "hf",
            "codec": self.source,
            "weights_hash": codec.weights_hash,
            "identity": codec.identity,
            "levels": self.levels,
            "of_levels": codec.num_quantizers,
        }
