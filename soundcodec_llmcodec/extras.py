"""The package's extras, and the one sentence that is said where a package is missing."""

from __future__ import annotations

NAME = "soundcodec-llmcodec"


def install(extra: str) -> str:
    """The command that installs an extra, or several with commas between them."""
    return f"pip install '{NAME}[{extra}]'"


def missing(what: str, package: str, extra: str | None = None, *, command: str | None = None) -> str:
    """That `what` needs a package, and how to install it: with an extra, by itself, or by a command of its own."""
    if command is None:
        command = f"pip install {package}" if extra is None else install(extra)
    return f"{what} needs the package {package}, which is not installed: {command}"
