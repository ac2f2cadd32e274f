"""Makes a SALMon-style suite of pairs: `python eval/salmon_build.py --speech DATA --sounds DATA --out FOLDER`; see
`--help`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eval.harness import command
from eval.salmon.build import build_arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command.main("salmon_build", argv, build_arguments.parse, _build, lambda _: "nothing was written")


def _build(arguments: argparse.Namespace, _command_line: Sequence[str]) -> int:
    from eval.salmon.build import suite_building

    return suite_building.build(arguments)
