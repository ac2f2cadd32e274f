"""Cells and columns of sortable tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from soundcodec_llmcodec.pages.markup import Child, Markup, tag


@dataclass(frozen=True)
class TableColumn:
    """A heading. `first` is the order of the first click; `title` says in full what the heading abbreviates."""

    heading: Child
    title: str | None = None
    first: str = "ascending"
    is_text: bool = False
    class_: str | None = None


@dataclass(frozen=True)
class Cell:
    """What is seen, and what it is sorted by: a number, a text, or None, which comes last either way."""

    shown: Child
    value: float | int | str | None = None
    title: str | None = None
    class_: str | None = None


@dataclass(frozen=True)
class TableRow:
    """The first cell names the row."""

    cells: Sequence[Cell]
    class_: str | None = None


def table(
    caption: str, columns: Sequence[TableColumn], groups: Sequence[tuple[Markup | None, str, Sequence[TableRow]]]
) -> Markup:
    """A table of groups of rows, (heading, class, rows); a click on a column's heading sorts within each group."""
    headings = [_heading(column) for column in columns]
    bodies = [
        tag(
            "tbody",
            heading
            and tag(
                "tr",
                tag("th", tag("span", heading), colspan=len(columns), scope="rowgroup"),
                class_="group",
                data_fixed=True,
            ),
            (_row(row, columns) for row in rows),
            class_=class_ or None,
        )
        for heading, class_, rows in groups
        if rows
    ]
    inner = tag(
        "table", tag("caption", tag("span", caption)), tag("thead", tag("tr", headings)), bodies, class_="sortable"
    )
    # A region that scrolls must be reachable by keyboard, and then have a name.
    return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _heading(column: TableColumn) -> Markup:
    button = tag("button", tag("span", class_="order", aria_hidden="true"), column.heading, type="button")
    classes = " ".join(name for name in ("text" if column.is_text else "", column.class_ or "") if name)
    return tag("th", button, scope="col", title=column.title, data_first=column.first, class_=classes or None)


def _row(row: TableRow, columns: Sequence[TableColumn]) -> Markup:
    cells = []
    for index, (cell, column) in enumerate(zip(row.cells, columns, strict=True)):
        classes = " ".join(name for name in ("text" if column.is_text else "", cell.class_ or "") if name)
        attributes: dict[str, str | None] = {
            "class_": classes or None,
            "title": cell.title,
            "data_value": None if cell.value is None else str(cell.value),
        }
        if index == 0:
            attributes["scope"] = "row"
        cells.append(tag("td" if index else "th", cell.shown, **attributes))
    return tag("tr", cells, class_=row.class_)
