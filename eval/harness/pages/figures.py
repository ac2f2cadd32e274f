"""Numbers as the report writes them."""

from __future__ import annotations

import math
from typing import Any

from soundcodec_llmcodec.pages.markup import Markup, tag

SIGNIFICANT = 0.05
ARROWS = {"lower": "↓", "higher": "↑"}
BETTER = {"lower": "lower is better", "higher": "higher is better"}
NONE = "–"


def decimals(value: float, digits: int = 3) -> int:
    """How many decimals a value is written with: fewer where it is large, two figures where it is small."""
    size = abs(value)
    if size >= 10:
        return 0 if size >= 1000 else min(digits, 1 if size >= 100 else 2)
    if 0 < size < 0.01 and digits >= 3:
        return min(6, 1 - math.floor(math.log10(size)))
    return digits


def number(value: float | None, digits: int = 3) -> str:
    """A value with about so many decimals and a true minus sign; a dash for None."""
    if value is None:
        return NONE
    text = f"{value:.{decimals(value, digits)}f}"
    return "−" + text[1:] if text.startswith("-") else text


def signed(value: float | None) -> str:
    """A difference, with its sign in any case."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text


def interval(low: float | None, high: float | None) -> str:
    """The two ends of an interval."""
    return NONE if low is None or high is None else f"[{number(low)}, {number(high)}]"


def half(summary: dict[str, Any]) -> str | None:
    """± half of a summary's interval, as finely as its mean is written; None where it has none."""
    if summary["low"] is None or summary["high"] is None:
        return None
    return f"±{(summary['high'] - summary['low']) / 2:.{decimals(summary['mean'])}f}"


def p_value(p: float | None) -> str:
    """A p-value with three decimals, or that it is smaller than they show."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def is_better(difference: float, direction: str) -> bool:
    """Whether a difference from the baseline is an improvement."""
    return (difference < 0) == (direction == "lower")


def is_significant(comparison: dict[str, Any]) -> bool:
    """Whether a paired comparison found a difference, after the adjustment for several comparisons."""
    p = comparison["p_adjusted"]
    return p is not None and p < SIGNIFICANT and bool(comparison["difference"])


def verdict(comparison: dict[str, Any], direction: str) -> Markup | None:
    """▲ for better and ▼ for worse than the baseline, with the word for those who do not see it; None for neither."""
    if not is_significant(comparison):
        return None
    better = is_better(comparison["difference"], direction)
    word = "better" if better else "worse"
    sign = tag("span", "▲" if better else "▼", aria_hidden="true")
    return tag("span", sign, tag("span", f" {word} than the baseline", class_="unseen"), class_=f"verdict {word}")
