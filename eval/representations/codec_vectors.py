"""A codec of ours as a representation: what its decoder gets, what its codebook gets, and codes drawn at random.

Letters: S samples, F frames, D features, Q codebook levels.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval.harness.model_specs import UnknownSpecError
from eval.representations.representation import SAMPLE_RATE, checked_samples
from soundcodec_llmcodec import coding
from soundcodec_llmcodec.audio import resample
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.teachers import teachers_of


class CodecVectors:
    """What the three representations of a codec share. Clips are framed and chunked as `LLMCodec.encode` does it."""

    kind = ""

    def __init__(self, codec: LLMCodec, name: str) -> None:
        self.codec = codec
        self.name = name

    @property
    def frame_rate(self) -> float:
        """Frames a second, of the codec."""
        return self.codec.frame_rate

    @property
    def dimensions(self) -> int:
        """Features of a frame, D."""
        return self.codec.config.hidden_size

    def facts(self) -> dict[str, Any]:
        """The codec by name and hash, who taught it, and which of its vectors."""
        teachers = list(teachers_of(self.codec.config, self.codec.info))
        return {
            "kind": self.kind,
            "codec": self.codec.name,
            "weights_hash": self.codec.weights_hash,
            "teachers": teachers,
        }

    def _samples(self, samples: np.ndarray) -> Tensor:
        """Samples at SAMPLE_RATE to those at the codec's rate."""
        samples = checked_samples(samples)
        if self.codec.sample_rate != SAMPLE_RATE:
            samples = resample(samples, SAMPLE_RATE, self.codec.sample_rate)
        return torch.from_numpy(np.array(samples, np.float32))


class QuantizedVectors(CodecVectors):
    """The code vectors of the first levels, lifted to the decoder's width and summed: what the decoder gets."""

    kind = "quantized"

    def __init__(self, codec: LLMCodec, name: str, levels: int | None = None) -> None:
        """All levels for None. Raises UnknownSpecError for more than there are, or none."""
        super().__init__(codec, name)
        there = codec.config.num_quantizers
        if levels is not None and not 1 <= levels <= there:
            raise UnknownSpecError(f"{name} asks for {levels} levels; the codec {codec.name} has 1 to {there}")
        self.levels = there if levels is None else levels

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Samples (S,) to code vectors (F, D)."""
        return self.embed(self.codec.encode_samples(self._samples(samples)))

    def embed(self, codes: Tensor) -> np.ndarray:
        """Codes (Q, F) int64 to float32 (F, D), of the first levels alone."""
        model = self.codec.model
        with coding.exact_inference(model):
            quantizers = model.tokenizer.vq.levels[: self.levels]
            rows = codes.to(self.codec.device)
            lifted = [quantizer.embed(rows[None, level])[0] for level, quantizer in enumerate(quantizers)]
            return torch.stack(lifted).sum(0).float().cpu().numpy()

    def facts(self) -> dict[str, Any]:
        """The codec, and how many of its levels."""
        return {**super().facts(), "levels": self.levels, "of_levels": self.codec.config.num_quantizers}


class RandomVectors(QuantizedVectors):
    """The code vectors of codes that are drawn at random: the floor, which knows nothing of the clip but its length."""

    kind = "random"

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Samples (S,) to code vectors (F, D); a clip has the same ones each time."""
        at_rate = self._samples(samples)
        seed = int.from_bytes(hashlib.sha256(at_rate.numpy().tobytes()).digest()[:8], "little")
        config = self.codec.config
        shape = (config.num_quantizers, config.frames(len(at_rate)))
        return self.embed(torch.from_numpy(np.random.default_rng(seed).integers(0, config.codebook_size, shape)))


class ContinuousFeatures(CodecVectors):
    """The encoder's features before the codebook: what quantizing could keep at best."""

    kind = "continuous"

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Samples (S,) to features (F, D)."""
        at_rate, codec = self._samples(samples), self.codec
        config, model = codec.config, codec.model
        coding.check_samples(at_rate)
        count = config.frames(len(at_rate))
        with coding.exact_inference(model):
            if count <= codec.chunk_frames:
                return self._features(framed_samples(at_rate, config))
            features = np.empty((count, self.dimensions), np.float32)
            for first, last, low, high in coding.chunks(config, count, "encode", codec.chunk_frames, False):
                part = self._features(framed_samples(at_rate, config, low, high))
                features[first:last] = part[first - low : last - low]
            return features

    def _features(self, padded: Tensor) -> np.ndarray:
        """((F - 1) * hop + N,) samples to float32 (F, D)."""
        return self.codec.model.tokenizer.features(padded[None].to(self.codec.device))[0].float().cpu().numpy()
