"""The command `llmcodec lm continue`."""

from __future__ import annotations

import argparse
import math
import os

from soundcodec_llmcodec.audio import Clip, as_clip
from soundcodec_llmcodec.audio_writing import check_ending, write_audio
from soundcodec_llmcodec.cli.codec_choice import load_codec
from soundcodec_llmcodec.cli.command_errors import CommandError
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.continuation import continue_audio
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM


def continuation(arguments: argparse.Namespace) -> int:
    """`llmcodec lm continue`: returns the exit status. Raises CommandError before any file is touched."""
    check_ending(arguments.output)
    for name in ("seconds", "prompt_seconds"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise CommandError(f"expected --{name.replace('_', '-')} above 0, got {value}")
    if not arguments.prompt.is_file():
        raise CommandError(f"there is no file {arguments.prompt}")
    codec = load_codec(arguments.codec, arguments.device)
    lm = load_token_lm(arguments.lm, TokenSource.of(codec), arguments.device, arguments.dtype)
    if not isinstance(lm, NeuralTokenLM):
        raise CommandError(f"{lm.name} only scores; name a folder of llmcodec lm train with --lm")
    clip = as_clip(os.fspath(arguments.prompt), None)
    samples = clip.samples
    if arguments.prompt_seconds is not None:
        samples = samples[:, : max(1, round(arguments.prompt_seconds * clip.sampling_rate))]
    continued = continue_audio(
        codec,
        lm,
        Clip(samples, clip.sampling_rate),
        seconds=arguments.seconds,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        seed=arguments.seed,
        may_end=arguments.may_end,
    )
    if not len(continued.tokens):
        raise CommandError(
            f"{lm.name} takes the recording for a finished one and adds nothing; take a shorter prompt "
            "(--prompt-seconds), another --seed, or leave --may-end out"
        )
    audio = continued.audio[continued.prompt_samples :] if arguments.continuation_only else continued.audio
    write_audio(arguments.output, audio, continued.rate)
    if not arguments.quiet:
        ending = "the model ended it" if continued.ended else "the time was up"
        prompt_s = continued.prompt_samples / continued.rate
        new_s = (len(continued.audio) - continued.prompt_samples) / continued.rate
        print(
            f"{arguments.prompt} -> {arguments.output}: {prompt_s:.2f} s, then {new_s:.2f} s "
            f"({len(continued.tokens)} tokens; {ending})"
        )
    return 0
