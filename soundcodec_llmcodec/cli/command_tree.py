"""Every command of `llmcodec`: what it is called, where its options are and what runs it.

A command's modules are imported for the command that is named and no other, and what runs it only once its options are
read: no `--help` waits for torch.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from soundcodec_llmcodec import __version__
from soundcodec_llmcodec.extras import missing


@dataclass(frozen=True)
class Command:
    """A command, or a group of them.

    `help` is its line in the list. `options` and `run` are "MODULE:FUNCTION" of this folder: the first adds options to
    a parser, the second takes what was parsed and returns the exit status. A command of one `extra` says that `what`
    needs it where a package is missing, and its ValueErrors and ImportErrors are its user's; commands below it
    have theirs from it. A group has `commands`, and is a command itself where it has `run`.
    """

    help: str
    options: str = ""
    run: str = ""
    extra: str = ""
    what: str = ""
    description: str = ""
    commands: Mapping[str, Command] = field(default_factory=dict)

    def __call__(self, arguments: argparse.Namespace) -> Any:
        """Run it: an exit status, or a function to call for it where errors are no longer this program's own.

        Raises ImportError, naming the extra, where a package of it is missing."""
        try:
            return _function(self.run)(arguments)
        except ModuleNotFoundError as error:
            if not self.extra:
                raise
            raise ImportError(missing(self.what, str(error.name), self.extra)) from error

    def user_errors(self) -> tuple[type[BaseException], ...]:
        """What it raises where its user did something wrong; anything else is a fault of the program."""
        # Only now: they are defined beside what raises them, which imports torch.
        from soundcodec_llmcodec.cli.command_errors import USER_ERRORS
        from soundcodec_llmcodec.runs.errors import TrainingError

        return (*USER_ERRORS, ValueError, ImportError, TrainingError) if self.extra else USER_ERRORS

    def below(self, word: str) -> Command:
        """The command of that word in this group."""
        command = self.commands[word]
        return command if command.extra else replace(command, extra=self.extra, what=self.what)


_TRAIN = {
    "plot": Command("the curves of runs in one picture", "run_outputs:plot_options", "run_outputs:plot"),
    "export": Command("a run's newest checkpoint", "run_outputs:export_options", "run_outputs:export"),
    "push": Command("an exported folder to the hub", "run_outputs:push_options", "run_outputs:push"),
}
_LM = {
    "train": Command(
        "train one, or fine-tune a text model",
        "lm_train:add_options",
        "lm_train:train",
        extra="lm,train",
        what="training a language model",
    ),
    "count": Command("n-grams of token corpora", "lm_options:count", "lm_count:count"),
    "score": Command("bits a token of token corpora, token files or sound files", "lm_options:score", "lm_score:score"),
    "continue": Command("continue a recording", "lm_options:continuation", "lm_continue:continuation"),
    "speak": Command("speak a text", "lm_options:speech", "lm_speak:speech"),
    "tokenizer": Command("give a model's folder a tokenizer", "lm_options:tokenizer", "lm_count:tokenizer"),
}
TREE = Command(
    "",
    commands={
        "encode": Command("audio to tokens (.llmc)", "codec_options:encode", "encode_decode:encode"),
        "decode": Command("tokens (.llmc) to audio", "codec_options:decode", "encode_decode:decode"),
        "info": Command("describe a file or a checkpoint", "codec_options:info", "info:info"),
        "tokenize": Command("a corpus to tokens (parquet)", "codec_options:tokenize", "tokenize:tokenize"),
        "listen": Command("original and reconstruction on one HTML page", "codec_options:listen", "listen:listen"),
        "demo": Command("the same page of the clips that come with it", "codec_options:demo", "listen:demo"),
        "export": Command(
            "the codec as ONNX graphs, or as programs of torch.export", "codec_options:export", "export_graphs:export"
        ),
        "superb-run": Command(
            "run a script of Codec-SUPERB with these codecs registered", "codec_options:superb_run", "superb_run:run"
        ),
        "train": Command(
            "train a codec (needs the extra 'train')",
            "train:add_options",
            "train:train",
            extra="train",
            what="training",
            commands=_TRAIN,
        ),
        "lm": Command(
            "language models over tokens: train, count, score, continue, speak (needs the extra 'lm')",
            extra="lm",
            what="working with language models",
            description="Language models over a codec's tokens. Needs the extra 'lm'.",
            commands=_LM,
        ),
    },
    description="LLM-Codec: audio to tokens and back.",
)
_EPILOG = "LLMCODEC_CHECKPOINT names another checkpoint for the default codec. Usage errors exit with status 2."


def parse(argv: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The command that a command line names, and its options. Exits as argparse does, with status 2 for a wrong one."""
    top = argparse.ArgumentParser(prog="llmcodec", description=TREE.description, epilog=_EPILOG)
    top.add_argument("--version", action="version", version=f"llmcodec {__version__}")
    command, named = _fill(top, TREE, argv)
    # argparse says of options that nothing takes at the top of the tree: the named command's usage is what helps.
    top.error = named.error  # type: ignore[method-assign]
    return command, top.parse_args(argv)


def run_command(argv: Sequence[str]) -> Any:
    """Parse and run a command: what `Command` returns, and whatever error it raises."""
    command, arguments = parse(argv)
    return command(arguments)


def _fill(
    parser: argparse.ArgumentParser, command: Command, words: Sequence[str]
) -> tuple[Command, argparse.ArgumentParser]:
    """Give `parser` the options of `command`, or of the command below it that `words` begin with; returns which it is,
    with its own parser.

    Of the other commands below it only the names are listed.
    """
    word = words[0] if words and not words[0].startswith("-") else None
    if word is not None and command.commands:
        _check(parser, command, word)
    if command.run and word not in command.commands:
        _function(command.options)(parser)
        return command, parser
    chosen, named = command, parser
    group = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, other in command.commands.items():
        if name != word:
            group.add_parser(name, help=other.help, add_help=False)
            continue
        below = command.below(name)
        named = group.add_parser(name, help=other.help, description=below.description or None)
        chosen, named = _fill(named, below, words[1:])
    return chosen, named


def _check(parser: argparse.ArgumentParser, command: Command, word: str) -> None:
    """Exit with argparse's own message for a word that is no command, and with what may have been meant."""
    if word in command.commands:
        return
    from soundcodec_llmcodec.nearest import did_you_mean

    meant = did_you_mean(word, command.commands)
    if meant or not command.run:
        names = ", ".join(map(repr, command.commands))
        parser.error(f"argument COMMAND: invalid choice: {word!r} (choose from {names}){meant}")


def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), name)
