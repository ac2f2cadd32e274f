"""The commands of `llmcodec lm`: train, count, score, continue and tokenizer."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soundcodec_llmcodec.audio import Clip, as_clip, write_audio
from soundcodec_llmcodec.audio_writing import check_ending
from soundcodec_llmcodec.cli.common import CommandError, load_codec, one_line
from soundcodec_llmcodec.cli.lm_score import score
from soundcodec_llmcodec.data.token_corpus import TokenCorpus, TokenSource
from soundcodec_llmcodec.lm import lm_folder as folders
from soundcodec_llmcodec.lm.counted import NGRAM_NAMES, NgramLM
from soundcodec_llmcodec.lm.loading import BUNDLED_NAME, DTYPES, load_token_lm
from soundcodec_llmcodec.lm.ngrams import MAX_ORDER
from soundcodec_llmcodec.lm.scores import CodecMismatchError

_TEXT_LM = "a folder or hub id of a model with <CODEC_i> tokens"
_LM_HELP = f"bundled (default), uniform, a folder that lm train or lm count has written, or {_TEXT_LM}"


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit status. Raises ValueError, ImportError or OSError for what went wrong."""
    arguments = parser().parse_args(list(argv[:1]) if argv[:1] == ["train"] else list(argv))
    if arguments.command == "train":
        return _train(argv[1:])
    commands = {"count": _count, "score": score, "continue": _continue, "tokenizer": _tokenizer}
    return commands[arguments.command](arguments)


def parser() -> argparse.ArgumentParser:
    """The command line of `llmcodec lm`."""
    top = argparse.ArgumentParser(
        prog="llmcodec lm", description="Language models over a codec's tokens. Needs the extra 'lm'."
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # Only for the list of commands: main hands everything after the word to the training command.
    commands.add_parser("train", help="train one, or fine-tune a text model", add_help=False)
    count = commands.add_parser("count", help="n-grams of token corpora", description="Count n-grams of tokens.")
    count.add_argument("tokens", metavar="DIR[:SPLIT]", nargs="+", help="token corpora, all of one codec")
    count.add_argument("-o", "--output", required=True, type=Path, help="the model's folder")
    count.add_argument(
        "--order", type=int, default=MAX_ORDER, choices=range(1, MAX_ORDER + 1), help="tokens in an n-gram (default: 3)"
    )
    _add_score(commands)
    _add_continue(commands)
    tokenizer = commands.add_parser(
        "tokenizer",
        help="give a model's folder a tokenizer",
        description="Write tokenizer.json and tokenizer_config.json into the folder of a model over codes alone that "
        "was saved without them. What is saved now has them.",
    )
    tokenizer.add_argument("folder", metavar="FOLDER", type=Path, help="a folder that lm train has written")
    return top


def _add_score(commands: Any) -> None:
    score = commands.add_parser(
        "score",
        help="bits a token of token corpora, token files or sound files",
        description="How many bits a token costs under language models: over the audio vocabulary (the probabilities "
        "of all other tokens left out) and over all that a model knows. The column prefix says whether a token begins "
        "each clip (bos), or its first token is not scored (none).",
    )
    score.add_argument("inputs", metavar="INPUT", nargs="*", help="token corpora DIR[:SPLIT], .llmc or sound files")
    score.add_argument("--lm", nargs="+", default=[BUNDLED_NAME], metavar="LM", help=_LM_HELP)
    score.add_argument("--batch-tokens", type=int, default=4096, metavar="N", help="tokens a batch (default: 4096)")
    score.add_argument("--json", action="store_true", help="one JSON list")
    _add_models(score, "for sound files: ")


def _add_continue(commands: Any) -> None:
    go_on = commands.add_parser(
        "continue",
        help="a recording that goes on",
        description="Tokens of a recording, more of them by a language model, and the audio of both.",
    )
    go_on.add_argument("prompt", metavar="PROMPT", type=Path, help="a sound file")
    go_on.add_argument("-o", "--output", required=True, type=Path, help="the sound file of the prompt and what follows")
    go_on.add_argument(
        "--lm", default=BUNDLED_NAME, metavar="LM", help=f"bundled (default), a folder of lm train, or {_TEXT_LM}"
    )
    go_on.add_argument("--seconds", type=float, default=4.0, help="how much follows (default: 4)")
    go_on.add_argument("--prompt-seconds", type=float, metavar="S", help="take the first S seconds of the prompt alone")
    go_on.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest each time (default: 1)")
    go_on.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest")
    go_on.add_argument("--top-p", type=float, metavar="P", help="draw from the likeliest that together have this share")
    go_on.add_argument("--seed", type=int, default=0, help="another seed gives another continuation (default: 0)")
    ending = go_on.add_mutually_exclusive_group()
    ending.add_argument("--may-end", action="store_true", help="the model may end the clip before the time is up")
    ending.add_argument("--no-end", action="store_true", help="it may not (which is so without it, too)")
    go_on.add_argument("--continuation-only", action="store_true", help="write what follows without the prompt")
    _add_models(go_on, "")


def _add_models(command: argparse.ArgumentParser, when: str) -> None:
    command.add_argument("--codec", help=f"{when}a name, folder, file or hub id (default: the bundled codec)")
    command.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    command.add_argument("--dtype", default="float32", choices=DTYPES, help="of the language model's weights")
    command.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _train(argv: Sequence[str]) -> int:
    """Everything after `lm train` to the training package's own command, loaded only now."""
    try:
        from soundcodec_llmcodec.cli.lm_train import main as train
        from soundcodec_llmcodec.runs.errors import TrainingError
    except ModuleNotFoundError as error:
        raise CommandError(
            f"training a language model needs the package {error.name}; install the extras: "
            "pip install 'soundcodec-llmcodec[lm,train]'"
        ) from error
    try:
        return train(argv)
    except TrainingError as error:
        raise CommandError(one_line(error)) from error


def _count(arguments: argparse.Namespace) -> int:
    folders.check_target(arguments.output, folders.NGRAM)
    corpora = [TokenCorpus.open(place) for place in arguments.tokens]
    source = corpora[0].source
    for corpus in corpora[1:]:
        if corpus.source.codec_hash != source.codec_hash:
            raise CodecMismatchError(
                f"{corpus.label} holds tokens of codec {corpus.source.codec_hash[:12]} ({corpus.source.codec_name}), "
                f"but {corpora[0].label} of {source.codec_hash[:12]} ({source.codec_name}); count each by itself"
            )
    clips = [clip for corpus in corpora for clip in corpus.ids()]
    lm = NgramLM.count(clips, source, arguments.order)
    lm.save(arguments.output)
    seen = [len(np.flatnonzero(lm.ngrams.unigrams)), *(len(events.keys) for events in lm.ngrams.longer)]
    kinds = ", ".join(f"{n:,} {name}s" for name, n in zip(NGRAM_NAMES, seen, strict=False))
    print(f"{arguments.output}: {lm.name} of {sum(map(len, clips)):,} tokens in {len(clips):,} clips: {kinds}")
    return 0


def _tokenizer(arguments: argparse.Namespace) -> int:
    from soundcodec_llmcodec.lm.codes_tokenizer import add_tokenizer

    spec = add_tokenizer(arguments.folder)
    print(f"{arguments.folder}: <CODEC_0> to <CODEC_{spec.codebook_size - 1}> are the ids from {spec.first_id} on")
    return 0


def _continue(arguments: argparse.Namespace) -> int:
    # Only now: it needs transformers, which counting does without.
    from soundcodec_llmcodec.lm.continuation import continue_audio
    from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM

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
    made = continue_audio(
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
    if not len(made.tokens):
        raise CommandError(
            f"{lm.name} takes the recording for a finished one and adds nothing; take a shorter prompt "
            "(--prompt-seconds), another --seed, or leave --may-end out"
        )
    audio = made.audio[made.prompt_samples :] if arguments.continuation_only else made.audio
    write_audio(arguments.output, audio, made.rate)
    if not arguments.quiet:
        ending = "the model ended it" if made.ended else "the time was up"
        print(
            f"{arguments.prompt} -> {arguments.output}: {made.prompt_samples / made.rate:.2f} s, then "
            f"{(len(made.audio) - made.prompt_samples) / made.rate:.2f} s ({len(made.tokens)} tokens; {ending})"
        )
    return 0
