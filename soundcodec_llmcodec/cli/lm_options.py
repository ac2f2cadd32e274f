"""The options of the commands of token language models: count, score, continue, speak and tokenizer."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundcodec_llmcodec.lm.choices import BUNDLED_NAME, DTYPES, MAX_ORDER

_TEXT_LM = "a folder or hub id of a model with <CODEC_i> tokens"


def count(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec lm count`."""
    parser.description = "Count n-grams of tokens."
    parser.add_argument("tokens", metavar="DIR[:SPLIT]", nargs="+", help="token corpora, all of one codec")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the model's folder")
    parser.add_argument(
        "--order", type=int, default=MAX_ORDER, choices=range(1, MAX_ORDER + 1), help="tokens in an n-gram (default: 3)"
    )


def score(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec lm score`."""
    parser.description = (
        "How many bits a token costs under language models: over the audio vocabulary (the probabilities "
        "of all other tokens left out) and over all that a model knows. The column prefix says whether a token begins "
        "each clip (bos), or its first token is not scored (none)."
    )
    parser.add_argument("inputs", metavar="INPUT", nargs="*", help="token corpora DIR[:SPLIT], .llmc or sound files")
    parser.add_argument(
        "--lm",
        nargs="+",
        default=[BUNDLED_NAME],
        metavar="LM",
        help=f"bundled (default), uniform, a folder that lm train or lm count has written, or {_TEXT_LM}",
    )
    parser.add_argument("--batch-tokens", type=int, default=4096, metavar="N", help="tokens a batch (default: 4096)")
    parser.add_argument("--json", action="store_true", help="one JSON list")
    _add_models(parser, "for sound files: ")


def continuation(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec lm continue`."""
    parser.description = "Tokens of a recording, more of them by a language model, and the audio of both."
    parser.add_argument("prompt", metavar="PROMPT", type=Path, help="a sound file")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, help="the sound file of the prompt and what follows"
    )
    parser.add_argument(
        "--lm", default=BUNDLED_NAME, metavar="LM", help=f"bundled (default), a folder of lm train, or {_TEXT_LM}"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="how much follows (default: 4)")
    parser.add_argument(
        "--prompt-seconds", type=float, metavar="S", help="take the first S seconds of the prompt alone"
    )
    _add_sampling(parser, "continuation")
    ending = parser.add_mutually_exclusive_group()
    ending.add_argument("--may-end", action="store_true", help="the model may end the clip before the time is up")
    ending.add_argument("--no-end", action="store_true", help="it may not (which is so without it, too)")
    parser.add_argument("--continuation-only", action="store_true", help="write what follows without the prompt")
    _add_models(parser, "")


def speech(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec lm speak`."""
    parser.description = (
        "Text to speech by a language model that lm train made with text.kind=characters. With --voice it goes on in a "
        "recording's voice; what follows is written without the recording."
    )
    parser.add_argument("text", metavar="TEXT", help="what to say, numbers in words")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the sound file of the speech")
    parser.add_argument("--lm", default=BUNDLED_NAME, metavar="FOLDER", help="a folder of lm train that speaks text")
    parser.add_argument("--voice", type=Path, metavar="FILE", help="a recording of some seconds to go on from")
    parser.add_argument("--voice-text", metavar="TEXT", help="what is said in that recording")
    parser.add_argument("--seconds", type=float, default=20.0, help="cut longer speech (default: 20)")
    _add_sampling(parser, "reading")
    parser.add_argument(
        "--tries", type=int, default=1, metavar="N", help="keep the likeliest of N, per token (default: 1)"
    )
    _add_models(parser, "")


def tokenizer(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec lm tokenizer`."""
    parser.description = (
        "Write tokenizer.json and tokenizer_config.json into the folder of a model over codes alone that "
        "was saved without them. What is saved now has them."
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a folder that lm train has written")


def _add_sampling(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest each time (default: 1)")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest")
    parser.add_argument(
        "--top-p", type=float, metavar="P", help="draw from the likeliest that together have this share"
    )
    parser.add_argument("--seed", type=int, default=0, help=f"another seed gives another {what} (default: 0)")


def _add_models(parser: argparse.ArgumentParser, when: str) -> None:
    parser.add_argument("--codec", help=f"{when}a name, folder, file or hub id (default: the bundled codec)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the language model's weights")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
