"""What the command line of every measurement does: exit codes, errors in one line, and what Ctrl-C leaves.

Imports no numpy and no torch, so that `--help` and a mistyped option are answered at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from soundcodec_llmcodec import extras
from soundcodec_llmcodec.terminal import show_what_can_be_shown

DONE, INCOMPLETE, REFUSED, INTERRUPTED = 0, 1, 2, 130
INSTALL = extras.install("eval")


def main(
    program: str,
    argv: Sequence[str] | None,
    parse: Callable[[Sequence[str] | None], argparse.Namespace],
    work: Callable[[argparse.Namespace, Sequence[str]], int],
    left_behind: Callable[[argparse.Namespace], str] | None = None,
) -> int:
    """Run a command line: `work` takes what `parse` read, and the command line as results name it. Returns the exit
    code.

    A ValueError, OSError or ImportError is what the user can set right: one line on stderr. `left_behind` says what
    Ctrl-C leaves, and how to go on.
    """
    show_what_can_be_shown()
    arguments = parse(argv)
    try:
        return work(arguments, [program, *argv] if argv is not None else sys.argv)
    except (ValueError, OSError) as error:
        return _refused(program, one_line(error))
    except ImportError as error:
        text = one_line(error)
        return _refused(program, text if "pip install" in text else f"{text}; {INSTALL}")
    except KeyboardInterrupt:
        note = f"; {left_behind(arguments)}" if left_behind else ""
        print(f"{program}: stopped{note}", file=sys.stderr)
        return INTERRUPTED


def of_a_resumable_run(arguments: argparse.Namespace) -> str:
    """What Ctrl-C leaves of a run that keeps a journal in --output."""
    return "go on with the same command and --resume" if arguments.output else "nothing is kept without --output"


def exit_codes(done: str, incomplete: str | None, refused: str, interrupted: str | None = "") -> str:
    """The exit codes as `--help` shows them, by what each means here; None for one that cannot come."""
    stopped = None if interrupted is None else f"stopped by Ctrl-C{interrupted and f'; {interrupted}'}"
    meanings = {DONE: done, INCOMPLETE: incomplete, REFUSED: refused, INTERRUPTED: stopped}
    return "\n".join(["exit codes:", *(f"  {code:<4} {text}" for code, text in meanings.items() if text is not None)])


def one_line(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())


def _refused(program: str, text: str) -> int:
    print(f"{program}: error: {text}", file=sys.stderr)
    return REFUSED
