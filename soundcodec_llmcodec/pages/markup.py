"""HTML that is escaped by default: text becomes markup only through `Markup`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Union

VOID = frozenset(("br", "img", "input", "link", "meta", "circle", "line", "path", "rect", "wbr"))


class Markup(str):
    """Text that is HTML already."""


Child = Union["Markup", str, int, None, Iterable["Child"]]


def join(children: Child) -> Markup:
    """The children one after the other; what is no Markup is escaped, None is left out."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int)):
        return Markup(html.escape(str(children)))
    return Markup("".join(join(child) for child in children))


def tag(name: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """One element. Attributes: `class_` and `for_` lose the underscore at their end, others become dashes.

    None and False leave an attribute out, True gives it no value.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{html.escape(str(value))}"')
    opened = " ".join(parts)
    # The slash is nothing to HTML, but ends an element of SVG.
    return Markup(f"<{opened}/>" if name in VOID else f"<{opened}>{join(children)}</{name}>")


def breakable(name: str) -> Markup:
    """A name that may break after the signs that join its parts, and looks the same where it does not."""
    first, *others = re.split(r"(?<=[_/:?&=@])(?=\w)", name)
    return join([first, *([tag("wbr"), part] for part in others)])
