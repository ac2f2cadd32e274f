"""The parts that every report puts together: a summary, tabs' panels, choices, and samples to listen to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from soundcodec_llmcodec.pages.markup import Child, Markup, join, tag


def summary(counts: Sequence[str], problems: Sequence[str]) -> Markup:
    """What was measured, in one line; what went wrong leads to the section about it."""
    link = tag("a", " · ".join(problems), href="#failures", class_="warn") if problems else None
    return tag("p", " · ".join(counts), link and Markup(" · "), link, class_="summary")


def panel(index: int, name: str, *content: Child) -> Markup:
    """What the index-th tab, of this name, shows."""
    return tag(
        "div",
        *content,
        role="tabpanel",
        id=f"panel-{index}",
        aria_labelledby=f"tab-{index}",
        class_="panel",
        data_split=name,
    )


def published_toggle() -> Markup:
    """A box to leave published numbers out."""
    box = tag("input", type="checkbox", class_="show-published", checked=True)
    return tag("label", box, " Published numbers (not measured here)", class_="toggle")


def chips(legend: str, options: Iterable[tuple[str, str, bool]]) -> Markup:
    """Boxes by which figures are chosen: value, title, and whether it is checked at first."""
    boxes = [
        tag("label", tag("input", type="checkbox", value=value, checked=checked), f" {title}")
        for value, title, checked in options
    ]
    return tag("fieldset", tag("legend", legend, class_="unseen"), boxes, class_="chips")


def one_of(summary: str, panels: Mapping[str, tuple[str, Markup]], label: str, key: str) -> Markup:
    """A block that opens, with one of several panels, (title, content) by value, and a choice between them."""
    options = [tag("option", title, value=value) for value, (title, _) in panels.items()]
    choice = tag("p", tag("label", f"{label} ", tag("select", options, class_="choose")), class_="choice")
    blocks = [tag("div", content, data_choice=value) for value, (_, content) in panels.items()]
    return tag("details", tag("summary", summary), tag("div", choice, blocks, data_choices=True), id=key)


def listening(scale: str, other: str, samples: Iterable[Markup], absent: Markup | None = None) -> Markup:
    """Samples under what their spectrograms' `scale` is; the place is kept when the `other` of a sample is played."""
    switch = tag(
        "label",
        tag("input", type="checkbox", id="keep-place", checked=True),
        f" Go on from the same place when {other} is played",
        class_="toggle",
    )
    what = tag("p", f"Spectrograms: mel-spaced frequencies, 0 to −80 dB below {scale}", class_="muted small")
    return join((tag("div", what, switch, class_="bar"), absent, *samples))
