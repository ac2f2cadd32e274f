"""The Markdown pages of the repository, and the links and anchors in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Places of Markdown files, below the root. Others (caches, virtual environments, runs) may lie in a checkout.
ROOMS = ("benchmarks", "docs", "eval", "examples", "experiments", "soundcodec_llmcodec/assets")
PAGES = tuple(
    str(path.relative_to(ROOT))
    for path in (*sorted(ROOT.glob("*.md")), *(page for room in ROOMS for page in sorted((ROOT / room).rglob("*.md"))))
)
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def text_of(page: str) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))


def links(page: str) -> Iterator[tuple[str, str]]:
    """(path, anchor) of each link of a page that leads into the repository; either may be empty."""
    for target in _LINK.findall(text_of(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    given: set[str] = set()
    for heading in _HEADING.findall(text_of(page)):
        # Links show their text; then letters, digits, spaces, hyphens and underscores are left.
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        repeated = sum(1 for name in given if re.fullmatch(re.escape(anchor) + r"(-\d+)?", name))
        given.add(f"{anchor}-{repeated}" if repeated else anchor)
    return given
