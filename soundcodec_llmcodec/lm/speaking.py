"""Text to speech: a text's characters, tokens that a language model says for them, and their audio.

A model that speaks was trained by `lm train` with `text.kind: characters`: it reads a text, then the token that begins
a clip, then the clip's tokens. With a voice, it reads that recording's text and the new text, then the recording's
tokens, and goes on in its voice (the continual setting of VALL-E, Wang et al. 2023).

Letters: S samples, N tokens.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.continuation import Sampling, continue_tokens, recording_tokens, tokens_to_codes
from soundcodec_llmcodec.lm.scores import check_codec
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM

LONGEST_S = 20.0


class NothingSaidError(ValueError):
    """A language model that ends a clip before its first code."""


@dataclass(frozen=True, eq=False)
class Speech:
    """A text as a language model speaks it.

    `tokens` int64 (N,) in [0, V) and `audio` float32 (S,) at `rate` Hz are the new ones alone, without the voice's
    recording. `ended` tells whether the model ended the clip; else it was cut. `nats` are those of a token, in the
    mean, over all that the model knows: the fewer, the likelier. `seed` is that of the try which was kept, and
    `dropped` are the text's signs that the model does not know.
    """

    tokens: np.ndarray
    audio: np.ndarray
    rate: int
    ended: bool
    nats: float
    seed: int
    dropped: str


@dataclass(frozen=True, eq=False)
class SpokenTokens:
    """`Speech` without its audio."""

    tokens: np.ndarray
    ended: bool
    nats: float
    seed: int
    dropped: str


def speak(
    codec: LLMCodec,
    lm: NeuralTokenLM,
    text: str,
    *,
    voice: Any = None,
    voice_rate: int | None = None,
    voice_text: str | None = None,
    longest_s: float = LONGEST_S,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    tries: int = 1,
) -> Speech:
    """A text as speech at the codec's rate, at most `longest_s` seconds of it.

    `voice` is a recording to speak on from, in any form that `LLMCodec.encode` takes, and `voice_text` what is said in
    it. Of several `tries`, with the seeds from `seed` on, the likeliest per token is kept, one that the model ended
    before any that was cut. Raises ValueError for a model that knows no text, TextError for a text that it cannot read,
    and CodecMismatchError for another codec's model.
    """
    sampling = Sampling(temperature, top_k, top_p, seed)
    check_codec(lm, codec.weights_hash, codec.name)
    if (voice is None) != (voice_text is None):
        raise ValueError("a voice is a recording and what is said in it: give both voice and voice_text, or neither")
    if not 0 < longest_s < float("inf"):
        raise ValueError(f"expected longest_s above 0, got {longest_s}")
    source = lm.source
    prompt = np.zeros(0, np.int64) if voice is None else recording_tokens(codec, source, voice, voice_rate)[0]
    most = max(1, round(longest_s * source.token_rate))
    spoken = speak_tokens(lm, text, sampling, most=most, tries=tries, prompt=prompt, prompt_text=voice_text or "")
    samples = codec.decode(
        tokens_to_codes(np.concatenate((prompt, spoken.tokens)), source), sampling_rate=source.sample_rate
    )
    new = samples[len(prompt) * source.hop_length // source.num_quantizers :]
    return Speech(**vars(spoken), audio=new, rate=source.sample_rate)


def speak_tokens(
    lm: NeuralTokenLM,
    text: str,
    sampling: Sampling,
    *,
    most: int,
    tries: int = 1,
    prompt: np.ndarray | None = None,
    prompt_text: str = "",
) -> SpokenTokens:
    """At most `most` tokens for a text, after those of a recording `prompt` (N,) in which `prompt_text` is said."""
    if lm.text is None:
        raise ValueError(
            f"{lm.name} was trained on tokens alone and cannot speak text; train one that can: llmcodec lm train "
            "--set text.kind=characters, on tokens of a data set with a column text"
        )
    if tries < 1:
        raise ValueError(f"expected at least one try, got {tries}")
    before = np.zeros(0, np.int64) if prompt is None else prompt
    encoded = lm.text.encoded(f"{prompt_text} {text}")
    ids = encoded.ids.tolist()
    count = most if lm.max_positions is None else min(most, lm.max_positions - len(lm.prompt(before, ids)))
    if count < 1:
        raise ValueError(
            f"{lm.name} reads at most {lm.max_positions} positions, but the text and the voice have "
            f"{len(lm.prompt(before, ids))} already; take a shorter text or voice"
        )
    attempts = [
        _attempt(lm, ids, before, count, dataclasses.replace(sampling, seed=sampling.seed + number))
        for number in range(tries)
    ]
    best = min(attempts, key=lambda spoken: (not len(spoken.tokens), not spoken.ended, spoken.nats))
    if not len(best.tokens):
        raise NothingSaidError(f"{lm.name} says nothing for {text!r}: it ends the clip at once; take another seed")
    return dataclasses.replace(best, dropped=encoded.dropped)


def _attempt(lm: NeuralTokenLM, ids: list[int], before: np.ndarray, count: int, sampling: Sampling) -> SpokenTokens:
    tokens, ended = continue_tokens(lm, before, count, sampling, text_ids=ids)
    if not len(tokens):
        return SpokenTokens(tokens, ended, float("inf"), sampling.seed, "")
    (scores,) = lm.score_spoken([np.concatenate((before, tokens))], [ids])
    return SpokenTokens(tokens, ended, float(scores.full_nll[len(before) :].mean()), sampling.seed, "")
