"""What is printed: any text, on any terminal."""

from __future__ import annotations

import io
import sys


def show_what_can_be_shown() -> None:
    """Let stdout and stderr replace what their encoding lacks (cp1252 behind a pipe on Windows, ascii in the locale C),
    so that a table with arrows in it ends no program."""
    for stream in (sys.stdout, sys.stderr):
        # Somebody may have put another object in its place.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
