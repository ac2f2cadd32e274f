"""The command tokenize."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from soundcodec_llmcodec.cli.codec_choice import load_codec
from soundcodec_llmcodec.cli.command_errors import CommandError, one_line
from soundcodec_llmcodec.extras import missing

if TYPE_CHECKING:
    from soundcodec_llmcodec.data.tokenizing import TokenizingPlan


def tokenize(arguments: argparse.Namespace) -> int:
    """`llmcodec tokenize`: returns the exit status, 1 where some clips could not be read."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise CommandError(missing("tokenizing corpora", "pyarrow", "lm")) from error
    from soundcodec_llmcodec.data import DataError
    from soundcodec_llmcodec.data.token_corpus import FAILED_FOLDER, TokenCorpusError
    from soundcodec_llmcodec.data.tokenizing import tokenize as run

    try:
        plan = _plan(arguments)
        codec = load_codec(arguments.codec, arguments.device)
        if plan.domain not in (None, *codec.config.domains):
            domains = ", ".join(codec.config.domains) or "none: its codebook is undivided"
            raise CommandError(f"no domain is called {plan.domain!r}; the domains of {codec.name} are: {domains}")
        done = run(codec, plan, arguments.out, progress=not arguments.quiet)
    except (DataError, TokenCorpusError, ImportError) as error:
        raise CommandError(one_line(error)) from error
    if not arguments.quiet:
        present = f", {done.n_present} shards were there" if done.n_present else ""
        print(
            f"{arguments.out}:{plan.split}: {done.clips} clips, {done.tokens} tokens of {done.seconds:.0f} s{present}"
        )
        if done.clips:
            print(
                f"{done.seconds / done.took_s:.0f} times real time; waited {done.waited_s / done.took_s:.0%} for audio"
            )
    if done.failed:
        place = Path(arguments.out) / FAILED_FOLDER
        print(f"llmcodec: {done.failed} clips could not be read; {place} lists them with the reasons", file=sys.stderr)
    return 1 if done.failed else 0


def _plan(arguments: argparse.Namespace) -> TokenizingPlan:
    from soundcodec_llmcodec.data import Place
    from soundcodec_llmcodec.data.tokenizing import TokenizingPlan, split_name

    named = split_name(Place.parse(arguments.dataset).split or "train")
    part = _part(arguments.part)
    try:
        sizes = (arguments.shift, arguments.shard_clips)
        return TokenizingPlan(arguments.dataset, arguments.split or named, *sizes, arguments.domain, part)
    except ValueError as error:
        raise CommandError(one_line(error)) from error


def _part(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit()):
        raise CommandError(f"expected --part I/N, such as 0/4, got {text!r}")
    return int(index), int(count)
