"""The command `llmcodec lm speak`."""

from __future__ import annotations

import argparse
import os
import sys

from soundcodec_llmcodec.audio_writing import check_ending, write_audio
from soundcodec_llmcodec.cli.codec_choice import load_codec
from soundcodec_llmcodec.cli.command_errors import CommandError
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.speaking import speak
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM


def speech(arguments: argparse.Namespace) -> int:
    """`llmcodec lm speak`: returns the exit status. Raises CommandError before any file is touched."""
    check_ending(arguments.output)
    if (arguments.voice is None) != (arguments.voice_text is None):
        raise CommandError("--voice and --voice-text go together: a recording, and what is said in it")
    if arguments.voice is not None and not arguments.voice.is_file():
        raise CommandError(f"there is no file {arguments.voice}")
    codec = load_codec(arguments.codec, arguments.device)
    lm = load_token_lm(arguments.lm, TokenSource.of(codec), arguments.device, arguments.dtype)
    if not isinstance(lm, NeuralTokenLM):
        raise CommandError(f"{lm.name} only scores; name a folder of llmcodec lm train with --lm")
    spoken = speak(
        codec,
        lm,
        arguments.text,
        voice=None if arguments.voice is None else os.fspath(arguments.voice),
        voice_text=arguments.voice_text,
        longest_s=arguments.seconds,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        seed=arguments.seed,
        tries=arguments.tries,
    )
    write_audio(arguments.output, spoken.audio, spoken.rate)
    if spoken.dropped:
        print(f"llmcodec: {lm.name} does not know {spoken.dropped!r}, left out", file=sys.stderr)
    if not spoken.ended:
        seconds = len(spoken.audio) / spoken.rate
        print(f"llmcodec: {lm.name} did not end; the speech was cut after {seconds:.1f} s (--seconds)", file=sys.stderr)
    if not arguments.quiet:
        print(
            f"{arguments.output}: {len(spoken.audio) / spoken.rate:.2f} s ({len(spoken.tokens)} tokens, "
            f"{spoken.nats:.2f} nats each, seed {spoken.seed})"
        )
    return 0
