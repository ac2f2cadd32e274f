"""A table for people: a row a model, as many columns as the terminal is wide, and the rest in further blocks.

What a cell says is kept apart from how it is shown, so that a terminal and LaTeX (table_files) show the same.
"""

from __future__ import annotations

import os
import shutil
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

WIDTH_OF_FILES = 100
BETTER, WORSE = 1, -1
_GAP = "  "
_BOLD, _PLAIN = "\033[1m", "\033[0m"
# What this file writes beyond ASCII, and what stands for it where the encoding has none of it.
_ASCII = {"±": "+-", "▲": "+", "▼": "-", "↑": "^", "↓": "v"}


@dataclass(frozen=True)
class Terminal:
    """Where text is printed: its columns, and whether it shows bold letters and signs beyond ASCII."""

    width: int = WIDTH_OF_FILES
    bold: bool = False
    signs: bool = True

    @classmethod
    def of(cls, stream: TextIO) -> Terminal:
        """Of an open stream. COLUMNS and NO_COLOR (https://no-color.org) count; what is no terminal has 100 columns."""
        is_terminal = stream.isatty()
        by_columns = os.environ.get("COLUMNS", "").isdigit()
        width = shutil.get_terminal_size((WIDTH_OF_FILES, 24)).columns if is_terminal or by_columns else WIDTH_OF_FILES
        bold = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        try:
            "".join(_ASCII).encode(stream.encoding or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return cls(width, bold, signs=False)
        return cls(width, bold)

    def show(self, text: str) -> str:
        """The text with the signs that this terminal has."""
        return text if self.signs else "".join(_ASCII.get(sign, sign) for sign in text)


@dataclass(frozen=True)
class CompactCell:
    """A value, half of its interval, and a note such as (n=11).

    `mark` is BETTER or WORSE than the baseline in the column's direction, or 0; `best` is better than every other by
    more than noise.
    """

    value: str
    half: str | None = None
    note: str = ""
    mark: int = 0
    best: bool = False

    @property
    def text(self) -> str:
        """Without marks."""
        return " ".join(part for part in (self.value, f"±{self.half}" if self.half else "", self.note) if part)


@dataclass(frozen=True)
class CompactTable:
    """A title; `labels` are the headers of what names a row and stands in every block, `columns` those of cells.

    A row is its labels and its cells. The first label column is left-aligned text, as are `n_text` in all.
    """

    title: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[CompactCell, ...]], ...]
    reasons: tuple[str, ...] = ()
    n_text: int = 1


def number(value: float, low: float | None, high: float | None, digits: int = 3, scale: float = 1.0) -> CompactCell:
    """A cell of a mean and its interval."""
    half = None if low is None or high is None else f"{scale * (high - low) / 2:.{digits}f}"
    return CompactCell(f"{scale * value:.{digits}f}", half)


def where_all_is(output: str | None) -> str:
    """Where the columns are that a compact table leaves out."""
    return f"{os.path.join(output, 'table.md')}, table.csv, table.tex; --wide prints them" if output else "--wide"


def below(notes: Sequence[str], terminal: Terminal) -> str:
    """The lines below a table; what is said of bold letters only where there are such."""
    return "\n".join(terminal.show(note) for note in notes if terminal.bold or not note.startswith("bold:"))


def render(table: CompactTable, terminal: Terminal) -> str:
    """The title, the blocks of the table with an empty line between, and the reasons for missing values."""
    names = [_column(table, place, terminal) for place in range(len(table.labels))]
    cells = [_cells(table, place, terminal) for place in range(len(table.columns))]
    beside = sum(_width(column[0]) + len(_GAP) for column in names)
    blocks = []
    for block in _blocks([_width(column[0]) for column in cells], terminal.width - beside):
        row_cells = [*names, *(cells[place] for place in block)]
        blocks.append("\n".join(_GAP.join(line).rstrip() for line in zip(*row_cells, strict=True)))
    title = textwrap.fill(terminal.show(table.title), max(terminal.width, 20), break_long_words=False)
    parts = [title, *(blocks or ["(no rows)"])]
    reasons = "\n".join(terminal.show(f"- {reason}") for reason in table.reasons)
    return "\n\n".join([*parts, *([reasons] if reasons else [])])


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Places of columns in as few blocks as there can be, of about as many columns each where that fits; a column that
    is too wide alone has a block of its own, and is not cut."""
    blocks: list[list[int]] = []
    for place in range(len(widths)):
        if not blocks or not _fits(widths, [*blocks[-1], place], room):
            blocks.append([])
        blocks[-1].append(place)
    each = -(-len(widths) // max(1, len(blocks)))
    even = [list(range(start, min(start + each, len(widths)))) for start in range(0, len(widths), max(1, each))]
    return even if all(_fits(widths, block, room) for block in even) else blocks


def _fits(widths: Sequence[int], block: Sequence[int], room: int) -> bool:
    return sum(widths[place] for place in block) + len(_GAP) * (len(block) - 1) <= room


def _column(table: CompactTable, place: int, terminal: Terminal) -> list[str]:
    texts = [table.labels[place], *(labels[place] for labels, _ in table.rows)]
    return _aligned([terminal.show(text) for text in texts], left=place < table.n_text)


def _cells(table: CompactTable, place: int, terminal: Terminal) -> list[str]:
    """A column's header and cells of one width; marks stand in a place of their own, so that numbers align."""
    column = [cells[place] for _, cells in table.rows]
    slot = any(cell.mark for cell in column)
    signs = {BETTER: "▲", WORSE: "▼", 0: " "}
    ends = [signs[cell.mark] if slot else "" for cell in column]
    texts = [
        table.columns[place] + (" " if slot else ""),
        *(cell.text + end for cell, end in zip(column, ends, strict=True)),
    ]
    aligned = _aligned([terminal.show(text) for text in texts], left=False)
    if not terminal.bold:
        return aligned
    bold = [False, *(cell.best for cell in column)]
    return [f"{_BOLD}{text}{_PLAIN}" if best else text for text, best in zip(aligned, bold, strict=True)]


def _aligned(texts: Sequence[str], *, left: bool) -> list[str]:
    width = max(map(_width, texts))
    gaps = [" " * (width - _width(text)) for text in texts]
    return [text + gap if left else gap + text for text, gap in zip(texts, gaps, strict=True)]


def _width(text: str) -> int:
    """Columns of a terminal: wide letters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(bool(unicodedata.combining(sign)) for sign in text)
