"""Where the labels of points go so that they do not hide each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTER = 0.6  # mean width of a character of a system font, in its size
GAP = 7.0


@dataclass(frozen=True)
class Box:
    """A rectangle: x to the right, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def outside(self, frame: Box) -> float:
        """The area that is not within the frame."""
        return (self.right - self.left) * (self.bottom - self.top) - self.overlap(frame)


@dataclass(frozen=True)
class Label:
    """A placed label: its box, and whether it is far enough from its point to need a line."""

    text: str
    box: Box
    x: float
    y: float
    is_far: bool


def width(text: str, size: float) -> float:
    """About how wide a text is at a font size."""
    return len(text) * size * CHARACTER


def shorten(text: str, longest: int) -> str:
    """The text, its middle left out where it is longer than `longest` characters."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[-tail:]}"


def place(points: Sequence[tuple[float, float, str]], frame: Box, taken: Sequence[Box], size: float) -> list[Label]:
    """A label for every point (x, y, text), in this order: the nearest place where it hides least."""
    filled = [*taken, *(Box(x - 5, y - 5, x + 5, y + 5) for x, y, _ in points)]
    placed: list[Label] = []
    for x, y, text in points:
        options = list(_options(x, y, width(text, size), size + 2))
        costs = [
            sum(box.overlap(other) for other in filled)
            # A label over a label is worse than one over a line or a point: neither can be read.
            + sum(4 * box.overlap(other.box) for other in placed)
            + 4 * box.outside(frame)
            + 3 * distance
            for box, distance in options
        ]
        box, distance = options[costs.index(min(costs))]
        placed.append(Label(text, box, x, y, distance > 1.5 * GAP))
    return placed


def _options(x: float, y: float, wide: float, high: float) -> list[tuple[Box, float]]:
    """Boxes around a point, each with its distance from it."""
    options = []
    for step in range(11):
        away = GAP + step * high / 2
        for left, top in (
            (x + GAP, y - high / 2 + (away - GAP)),
            (x + GAP, y - high / 2 - (away - GAP)),
            (x - GAP - wide, y - high / 2 + (away - GAP)),
            (x - GAP - wide, y - high / 2 - (away - GAP)),
            (x - wide / 2, y - away - high),
            (x - wide / 2, y + away),
        ):
            options.append((Box(left, top, left + wide, top + high), away))
    return options
