"""A config's field together with the sentence that says what it is: the one place that help, `--print-config` and the
pages of all keys take it from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

_ABOUT, _ITEMS = "about", "items"


def setting(default: Any, about: str, items: Mapping[str, str] | None = None) -> Any:
    """A dataclass field; `about` is a sentence without a capital or a full stop, with its unit where it has one.

    `default` is made anew for each config where it can be called (a class, a lambda), and MISSING where there is none.
    A field that maps names to values says in `items` what each name stands for.
    """
    metadata = {_ABOUT: about, _ITEMS: items or {}}
    if default is not dataclasses.MISSING and callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def about_of(field: dataclasses.Field[Any]) -> str:
    """The field's sentence; empty where it has none."""
    return str(field.metadata.get(_ABOUT, ""))


def items_of(field: dataclasses.Field[Any]) -> Mapping[str, str]:
    """What the names that a field maps stand for."""
    items: Mapping[str, str] = field.metadata.get(_ITEMS, {})
    return items
