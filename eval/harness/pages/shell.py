"""What every report is made in: one HTML file that needs nothing else, with one look and one script."""

from __future__ import annotations

from pathlib import Path

from soundcodec_llmcodec.pages.markup import Markup, tag
from soundcodec_llmcodec.pages.single_file import rendered

REPORT = "report.html"


def page(
    *,
    title: str,
    eyebrow: str,
    label: str,
    summary: Markup,
    banners: Markup,
    provenance: Markup,
    tabs: Markup,
    panels: Markup,
    listening: Markup,
    failures: Markup,
    definitions: Markup,
    more_style: str = "",
) -> str:
    """The file's text. `more_style` comes after the common style."""
    return rendered(
        Path(__file__).parent,
        more_style=more_style,
        title=title,
        eyebrow=eyebrow,
        label=label,
        summary=summary,
        banners=banners,
        provenance=provenance,
        tabs=tabs,
        panels=panels,
        listening=listening,
        failures=failures,
        definitions=definitions,
    )


def tab_list(names: list[str], label: str) -> Markup:
    """Tabs by name; the n-th shows the element panel-n."""
    return tag(
        "div", [_tab(name, index) for index, name in enumerate(names)], role="tablist", aria_label=label, class_="tabs"
    )


def count(number: int, word: str) -> str:
    """A number with its word."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _tab(name: str, index: int) -> Markup:
    return tag(
        "button",
        name,
        type="button",
        role="tab",
        id=f"tab-{index}",
        aria_controls=f"panel-{index}",
        aria_selected="true" if index == 0 else "false",
        tabindex=0 if index == 0 else -1,
        data_split=name,
    )
