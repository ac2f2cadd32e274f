"""HTML that is escaped by default: text becomes markup only through `Markup`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Union

from markupsafe import Markup, escape

__all__ = ["Child", "Markup", "breakable", "join", "tag"]

VOID = frozenset(("br", "img", "input", "link", "meta", "circle", "line", "path", "rect", "wbr"))

Child = Union["Markup", str, int, None, Iterable["Child"]]


def join(children: Child) -> Markup:
    """The children one after the other; what is no Markup is escaped, None is left out."""
    if children is None:
        return Markup("")
    if isinstance(children, (str, int)):
        return escape(children)
    return Markup("").join(map(join, children))


def tag(name: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """One element. Attributes: `class_` and `for_` lose the underscore at their end, others become dashes.

    None and False leave an attribute out, True gives it no value.
    """
    opened = Markup(name)
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        opened += Markup(" ") + key.rstrip("_").replace("_", "-")
        if value is not True:
            opened += Markup('="{}"').format(value)
    # The slash is nothing to HTML, but ends an element of SVG.
    return Markup("<{}/>" if name in VOID else "<{}>{}</{}>").format(opened, join(children), name)


def breakable(name: str) -> Markup:
    """A name that may break after the signs that join its parts, and looks the same where it does not."""
    return tag("wbr").join(re.split(r"(?<=[_/:?&=@])(?=\w)", name))
