"""A run's tables for other programs: CSV with numbers as numbers, and LaTeX with booktabs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.harness.terminal_table import CompactCell, CompactTable

_ESCAPES = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "†": r"\textdagger{}",
}
_HOW = "% needs \\usepackage{booktabs}; bold: better than every other by more than noise"


def csv_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV (RFC 4180 but for "\\n"), the columns in the order in which they first come; None is empty."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def estimate_columns(name: str, summary: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A summary's numbers as columns: NAME for the first of the keys, which is the value, and NAME_KEY for others."""
    value, *others = keys
    return {name: summary.get(value)} | {f"{name}_{key}": summary.get(key) for key in others}


def tex_text(tables: Sequence[CompactTable], mark: str | None) -> str:
    """The tables as booktabs tabulars; the mark of numbers that are not for reporting stands in each."""
    return "\n".join([_HOW, *(_tabular(table, mark) for table in tables)])


def _tabular(table: CompactTable, mark: str | None) -> str:
    n = len(table.labels) + len(table.columns)
    alignment = "l" * table.n_text + "r" * (n - table.n_text)
    marked = [rf"\multicolumn{{{n}}}{{l}}{{{escaped(mark)}}} \\"] if mark else []
    lines = [
        *(f"% {line}" for line in table.title.splitlines()),
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _line([escaped(name) for name in (*table.labels, *table.columns)]),
        r"\midrule",
        *(_line([*map(escaped, labels), *map(_cell, cells)]) for labels, cells in table.rows),
        r"\bottomrule",
        *marked,
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text with nothing in it that LaTeX would read as a command."""
    return "".join(_ESCAPES.get(sign, sign) for sign in text)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: CompactCell) -> str:
    half = rf" $\pm$ {escaped(cell.half)}" if cell.half else ""
    value = escaped(cell.value)
    if value.startswith("-") and value != "-":
        value = f"${value}$"  # a minus, no hyphen
    text = value + half
    return (rf"\textbf{{{text}}}" if cell.best else text) + (f" {escaped(cell.note)}" if cell.note else "")
