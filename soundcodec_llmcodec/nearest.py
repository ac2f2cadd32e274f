"""The name that was probably meant, for messages about one that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant; None where nothing is near."""
    return next(iter(difflib.get_close_matches(name, names, n=1)), None)


def did_you_mean(name: str, names: Iterable[str], otherwise: str = "") -> str:
    """`; did you mean 'NAME'?` to put behind a message, or `otherwise` where nothing is near."""
    near = nearest(name, names)
    return otherwise if near is None else f"; did you mean {near!r}?"
