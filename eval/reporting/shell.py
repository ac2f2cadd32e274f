"""What every report is made in: one HTML file that needs nothing else, with one look and one script."""

from __future__ import annotations

import base64
import hashlib
import string
from pathlib import Path

from eval.reporting.markup import Markup, tag
from soundcodec_llmcodec.files import written_whole

HERE = Path(__file__).parent
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
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    style += more_style
    template = string.Template((HERE / "template.html").read_text(encoding="utf-8"))
    return template.substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        title=tag("title", title),
        eyebrow=eyebrow,
        label=tag("h1", label),
        summary=summary,
        banners=banners,
        provenance=provenance,
        tabs=tabs,
        panels=panels,
        listening=listening,
        failures=failures,
        definitions=definitions,
    )


def write(text: str, target: Path) -> Path:
    """Write a report, whole or not at all. Returns where."""
    with written_whole(target) as unfinished:
        # newline="": the policy names the hashes of the style and the script as they stand here.
        unfinished.write_text(text, encoding="utf-8", newline="")
    return target


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


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy: nothing from outside, and no style or script but these two."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"

    return (
        f"default-src 'none'; img-src data:; media-src data:; style-src {hashed(style)}; script-src {hashed(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
