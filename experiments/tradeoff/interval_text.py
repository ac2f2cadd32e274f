"""Intervals as the tables write them."""

from __future__ import annotations

import math

from experiments.tradeoff.collect import Interval


def signed(found: Interval, unit: str = "", digits: int = 1) -> str:
    """A difference with its sign and interval; "–" where there is none."""
    if math.isnan(found.value):
        return "–"
    return f"{found.value:+.{digits}f}{unit} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


def plain(found: Interval, unit: str = "") -> str:
    """A value with its interval."""
    return f"{found.value:.1f}{unit} [{found.low:.1f}, {found.high:.1f}]"
