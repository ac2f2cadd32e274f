"""Intervals as the tables write them."""

from __future__ import annotations

import math

from experiments.tradeoff.collect import Interval


def signed(estimate: Interval, unit: str = "", digits: int = 1) -> str:
    """A difference with its sign and interval; "–" where there is none."""
    if math.isnan(estimate.value):
        return "–"
    return f"{estimate.value:+.{digits}f}{unit} [{estimate.low:+.{digits}f}, {estimate.high:+.{digits}f}]"


def plain(estimate: Interval, unit: str = "") -> str:
    """A value with its interval."""
    return f"{estimate.value:.1f}{unit} [{estimate.low:.1f}, {estimate.high:.1f}]"
