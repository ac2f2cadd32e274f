"""The package's extras, and the one sentence that is said where a package of theirs is missing."""

from __future__ import annotations

NAME = "soundcodec-llmcodec"


def install(extra: str) -> str:
    """The command that installs an extra, or several with commas between them."""
    return f"pip install '{NAME}[{extra}]'"


def missing(what: str, package: str, extra: str) -> str:
    """That `what` needs a package which is not there, and the command that installs it."""
    return f"{what} needs the package {package}, which is not installed: {install(extra)}"
