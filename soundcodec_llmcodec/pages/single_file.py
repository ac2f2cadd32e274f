"""An HTML page in one file: nothing is fetched, and nothing but its own style and script may run."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from soundcodec_llmcodec.files import written_whole


def rendered(folder: Path, *, more_style: str = "", **content: object) -> str:
    """The page of a folder's template.html (Jinja's syntax), style.css and script.js, as text.

    Content that is no Markup is escaped. `more_style` comes after the folder's style.
    """
    template, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("template.html", "style.css", "script.js")
    )
    style += more_style
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(template)
    return page.render(content, policy=Markup(policy(style, script)), style=Markup(style), script=Markup(script)) + "\n"


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy: nothing from outside, and no style or script but these two."""
    own = [f"'sha256-{_base64(hashlib.sha256(text.encode()).digest())}'" for text in (style, script)]
    return (
        f"default-src 'none'; img-src data:; media-src data:; style-src {own[0]}; script-src {own[1]}; "
        "base-uri 'none'; form-action 'none'"
    )


def data_url(kind: str, content: bytes) -> str:
    """Content of a media type as a URL that holds it."""
    return f"data:{kind};base64,{_base64(content)}"


def write(text: str, target: Path) -> Path:
    """Write a page, whole or not at all. Returns where."""
    with written_whole(target) as unfinished:
        # newline="": the policy names the hashes of the style and the script as they stand here.
        unfinished.write_text(text, encoding="utf-8", newline="")
    return target


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
