"""A recording that goes on: tokens of a prompt, more of them by a language model, and audio of both.

Letters: S samples, F frames, N tokens, Q codebook levels, V codes a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from soundcodec_llmcodec import audio as audio_io
from soundcodec_llmcodec.data.token_corpus import TokenSource, token_ids
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.generation import CodesOnly
from soundcodec_llmcodec.lm.scores import check_clips, check_codec
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.tokens import Tokens
from soundcodec_llmcodec.vocabulary import TokenSpec

# After generation.py, which says what to install where transformers is missing.
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList  # isort: skip


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. A `temperature` of 0 takes the likeliest each time; `top_k` keeps the k likeliest and
    `top_p` the likeliest that together have that probability. One `seed` gives one continuation."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"expected a temperature of 0 or more, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"expected a top_k of 1 or more, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"expected a top_p in (0, 1], got {self.top_p}")


@dataclass(frozen=True, eq=False)
class Continuation:
    """A prompt and what a language model made of it.

    `tokens` int64 (N,) in [0, Q V) are the new ones. `audio` float32 (S,) at `rate` Hz is the prompt's `prompt_frames`
    frames, decoded, and then the new ones; these begin at sample `prompt_samples`. `ended` tells whether the model
    ended the clip itself.
    """

    tokens: np.ndarray
    prompt_frames: int
    prompt_samples: int
    audio: np.ndarray
    rate: int
    ended: bool


def continue_audio(
    codec: LLMCodec,
    lm: NeuralTokenLM,
    audio: Any,
    rate: int | None = None,
    *,
    seconds: float,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    may_end: bool = False,
) -> Continuation:
    """A recording, in any form that `LLMCodec.encode` takes, and `seconds` more of it at its own rate.

    With `may_end` the model may end the clip before that: those trained on short clips do so after many a prompt. A
    last frame that the prompt does not fill is left out, unless it is the only one: the silence in it would end what is
    to go on. Raises CodecMismatchError for another codec's model and ValueError for a prompt and a continuation that
    are together longer than the model reads.
    """
    sampling = Sampling(temperature, top_k, top_p, seed)
    source = TokenSource.of(codec)
    check_codec(lm, source.codec_hash, source.codec_name)
    new_frames = round(seconds * source.sample_rate / source.hop_length)
    if new_frames < 1:
        raise ValueError(f"expected at least one frame ({source.hop_length / source.sample_rate} s), got {seconds} s")
    prompt, encoded = recording_tokens(codec, source, audio, rate)
    frames = len(prompt) // source.num_quantizers
    tokens, ended = continue_tokens(lm, prompt, new_frames * source.num_quantizers, sampling, may_end=may_end)
    codes = tokens_to_codes(np.concatenate([prompt, tokens]), source)
    samples = codec.decode(codes, sampling_rate=encoded.sampling_rate)
    begins = audio_io.resampled_length(frames * source.hop_length, source.sample_rate, encoded.sampling_rate)
    return Continuation(tokens, frames, begins, samples, encoded.sampling_rate, ended)


def recording_tokens(codec: LLMCodec, source: TokenSource, audio: Any, rate: int | None) -> tuple[np.ndarray, Tokens]:
    """Tokens int64 (N,) of a recording's whole frames, of the levels that `source` has, and all that it was encoded to.

    A last frame that the recording does not fill is left out, unless it is the only one.
    """
    encoded = codec.encode(audio, rate)
    own_samples = audio_io.resampled_length(encoded.n_samples, encoded.sampling_rate, source.sample_rate)
    frames = max(1, own_samples // source.hop_length)
    return codes_to_tokens(encoded.codes[0, : source.num_quantizers, :frames].numpy(), source), encoded


def continue_tokens(
    lm: NeuralTokenLM,
    prompt: np.ndarray,
    count: int,
    sampling: Sampling,
    *,
    may_end: bool = True,
    text_ids: Sequence[int] = (),
) -> tuple[np.ndarray, bool]:
    """Up to `count` tokens int64 (N,) after a prompt's (N,), whole frames both, and whether the model ended the clip.

    An N of 0 is a clip that the model ended at once; an empty prompt needs a model with a token that begins. `text_ids`
    is what a model that speaks text says. Raises ValueError for more positions than the model reads, and for such a
    model without a text.
    """
    if lm.text is not None and not len(text_ids):
        raise ValueError(f"{lm.name} speaks text and does not continue without: llmcodec lm speak, with --voice")
    if len(prompt):
        check_clips([prompt], lm.vocabulary_size)
    levels = lm.source.num_quantizers
    if count < 1 or count % levels or len(prompt) % levels:
        raise ValueError(f"expected whole frames of {levels} tokens, got {len(prompt)} to begin with and {count} more")
    ids = lm.prompt(prompt, text_ids)
    if not ids:
        raise ValueError(f"{lm.name} has no token that begins a clip; give it a prompt")
    if lm.max_positions is not None and len(ids) + count > lm.max_positions:
        raise ValueError(
            f"{lm.name} reads at most {lm.max_positions} positions, but the prompt has {len(ids)} and {count} are to "
            "follow; take a shorter prompt or fewer seconds"
        )
    end = [lm.eos_id] if may_end and lm.eos_id is not None else []
    processors = LogitsProcessorList([_WholeFrames(lm.spec, lm.source, len(ids), end)])
    inputs = torch.tensor([ids], device=lm.device)
    devices = [lm.device] if lm.device.type == "cuda" else []
    with lm.inference(), torch.random.fork_rng(devices):
        torch.manual_seed(sampling.seed)
        generated = lm.model.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            generation_config=_generation(lm, sampling, count, end),
            logits_processor=processors,
        )
    new = generated[0, len(ids) :].cpu().numpy()
    ended = bool(end and len(new) and new[-1] == end[0])
    return lm.spec.codes(new[:-1] if ended else new), ended


def codes_to_tokens(codes: np.ndarray, source: TokenSource) -> np.ndarray:
    """Codes (Q, F) as tokens int64 (Q F,), frame by frame, in [0, Q V)."""
    return token_ids(codes.T.reshape(-1), source)


def tokens_to_codes(tokens: np.ndarray, source: TokenSource) -> torch.Tensor:
    """The inverse of `codes_to_tokens`: int64 (Q, F)."""
    levels = np.arange(len(tokens)) % source.num_quantizers
    codes = (tokens - levels * source.codebook_size).reshape(-1, source.num_quantizers).T
    return torch.from_numpy(np.ascontiguousarray(codes))


class _WholeFrames(LogitsProcessor):
    """Codes of the level that is next alone, and the end only between frames."""

    def __init__(self, spec: TokenSpec, source: TokenSource, start: int, end: Sequence[int]) -> None:
        self.start = start
        size = source.codebook_size
        self.levels = [
            CodesOnly(TokenSpec(spec.first_id + level * size, size), end if level == 0 else ())
            for level in range(source.num_quantizers)
        ]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        return self.levels[(input_ids.shape[1] - self.start) % len(self.levels)](input_ids, scores)


def _generation(lm: NeuralTokenLM, sampling: Sampling, count: int, end: Sequence[int]) -> Any:
    """All of it said, so that nothing is taken from what the model's folder suggests for text."""
    drawn = {"temperature": sampling.temperature, "top_k": sampling.top_k or 0, "top_p": sampling.top_p or 1.0}
    return GenerationConfig(
        max_new_tokens=count,
        do_sample=sampling.temperature > 0,
        eos_token_id=list(end) or None,
        pad_token_id=end[0] if end else 0,
        bos_token_id=lm.bos_id,
        use_cache=True,
        **(drawn if sampling.temperature > 0 else {}),
    )
