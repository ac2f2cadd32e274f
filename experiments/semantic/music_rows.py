"""A codec with its language model: what it makes of a prompt, and the journal of what became of it.

Letters: S samples, F frames, Q codebook levels, V codes a level, N items, D dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eval.harness.journal import RunJournal
from experiments.semantic.item_seeds import seed_of
from experiments.semantic.music_prompts import MusicPrompt, PromptLengths
from soundcodec_llmcodec.audio import resample
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.continuation import Sampling, continue_audio
from soundcodec_llmcodec.lm.counted import UniformLM
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM


@dataclass(frozen=True, eq=False)
class MusicRow:
    """A row of the table. The uniform model draws every code as likely as any other: the distance of noise."""

    label: str
    codec: LLMCodec
    lm: NeuralTokenLM | UniformLM

    def describe(self) -> dict[str, Any]:
        """Which weights these are, JSON-ready."""
        codec = {"codec": self.codec.name, "codec_hash": self.codec.weights_hash}
        return {"name": self.label, **codec, "lm": self.lm.name, "lm_identity": self.lm.identity}

    def truth(self, prompt: MusicPrompt, lengths: PromptLengths) -> np.ndarray:
        """What truly follows the prompt, through the codec, float32 (S,) at the codec's rate."""
        rate = self.codec.config.sample_rate
        begin, end = self._new_samples(lengths)
        codes = self.codec.encode(self._samples(prompt), rate).codes[0]
        return np.asarray(self.codec.decode(codes, sampling_rate=rate))[begin:end]

    def continuation(self, prompt: MusicPrompt, lengths: PromptLengths, sampling: Sampling) -> np.ndarray:
        """What the language model lets follow, of the same length. It sees the prompt's tokens alone, encoded without
        what comes after them. Raises ValueError where the model reads fewer positions."""
        config = self.codec.config
        samples = self._samples(prompt)[: round(lengths.prompt_s * config.sample_rate)]
        begin, end = self._new_samples(lengths)
        seed = seed_of(sampling.seed, prompt.prompt_id)
        if isinstance(self.lm, NeuralTokenLM):
            continued = continue_audio(
                self.codec,
                self.lm,
                samples,
                config.sample_rate,
                seconds=lengths.continue_s,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                seed=seed,
            )
            return np.asarray(continued.audio)[begin:end]
        codes = self.codec.encode(samples, config.sample_rate).codes[0, :, : begin // config.hop_length]
        shape = (config.num_quantizers, (end - begin) // config.hop_length)
        drawn = torch.from_numpy(np.random.default_rng(seed).integers(0, config.codebook_size, shape))
        joined = torch.cat([codes, drawn.to(codes.dtype)], 1)
        return np.asarray(self.codec.decode(joined, sampling_rate=config.sample_rate))[begin:end]

    def _samples(self, prompt: MusicPrompt) -> np.ndarray:
        return resample(prompt.samples, prompt.rate, self.codec.config.sample_rate).astype(np.float32, copy=False)

    def _new_samples(self, lengths: PromptLengths) -> tuple[int, int]:
        """Where the continuation begins and ends, in samples: whole frames, as `continue_audio` counts them."""
        rate, hop = self.codec.config.sample_rate, self.codec.config.hop_length
        begin = max(1, round(lengths.prompt_s * rate) // hop) * hop
        return begin, begin + round(lengths.continue_s * rate / hop) * hop


@dataclass(frozen=True, eq=False)
class EmbeddedClip:
    """Items float32 (N, D) of a row's continuation of a prompt with a seed, or of the truth where `seed` is None."""

    label: str
    seed: int | None
    prompt_id: str
    recording: str
    items: np.ndarray

    @property
    def key(self) -> tuple[str, int | None, str]:
        """What it is of."""
        return self.label, self.seed, self.prompt_id


class ContinuationJournal(RunJournal[EmbeddedClip]):
    """The journal in a run's folder; `batches` are the clips that were embedded."""

    version = 1
    kind = "music-continuation"

    @staticmethod
    def row_of(batch: EmbeddedClip) -> dict[str, Any]:
        names = {"row": batch.label, "seed": batch.seed, "prompt": batch.prompt_id, "recording": batch.recording}
        return {**names, "items": [[float(number) for number in item] for item in batch.items]}

    @staticmethod
    def batch_of(row: Mapping[str, Any]) -> EmbeddedClip:
        items = np.array(row["items"], np.float32)
        if items.ndim != 2:
            raise ValueError(f"expected items as (N, D), got {items.shape}")
        return EmbeddedClip(row["row"], row["seed"], row["prompt"], row["recording"], items)
