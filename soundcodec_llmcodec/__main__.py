"""The program `llmcodec`; cli.command_tree lists its commands."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from soundcodec_llmcodec.cli.command_tree import parse
from soundcodec_llmcodec.terminal import show_what_can_be_shown


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. A user's error is one line on stderr and status 2."""
    show_what_can_be_shown()
    command, arguments = parse(list(sys.argv[1:] if argv is None else argv))
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            ended = command(arguments)
        except KeyboardInterrupt:
            print("llmcodec: stopped; no file is left half written", file=sys.stderr)
            return 130
        except command.user_errors() as error:
            print(f"llmcodec: error: {_one_line(error)}", file=sys.stderr)
            return 2
    # Outside of the handlers: a script's own errors and warnings look as they do under python itself.
    return ended() if callable(ended) else ended


def _one_line(error: BaseException) -> str:
    from soundcodec_llmcodec.cli.command_errors import one_line

    return one_line(error)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"llmcodec: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
