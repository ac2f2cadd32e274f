"""The sections of words that every report has: what to know before any number, how a run was made, what failed."""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from eval.harness.pages.cells import Cell, TableColumn, TableRow, table
from soundcodec_llmcodec.pages.markup import Child, Markup, breakable, tag

SHORT = 12
Figures = dict[str, Any]


def banners(results: Figures) -> Markup:
    """What a reader must know before any number."""
    notes = []
    if results.get("mark"):
        notes.append(tag("p", tag("strong", results["mark"]), class_="banner", role="note"))
    if results.get("rules") == "codec-superb":
        text = "Codec-SUPERB's rules: a failure counts as 1.0 (PESQ) or 0.0 (STOI, F0 correlation), not as a reason."
        notes.append(tag("p", tag("strong", text), class_="banner rules", role="note"))
    return Markup("".join(notes))


def identified(data: Figures) -> list[tuple[str, Child]]:
    """What tells the version of data."""
    short = data["fingerprint"] and tag("code", data["fingerprint"][:SHORT], title=data["fingerprint"])
    return [("Revision", data["revision"]), ("Fingerprint", short)]


def made_with(results: Figures, data: Sequence[tuple[str, Child]]) -> Markup:
    """When and how a run was made, its facts about the data among the others."""
    platform, git = results.get("platform") or {}, results.get("git")
    machine = " · ".join(
        str(part)
        for part in (
            platform.get("system"),
            platform.get("machine"),
            f"{platform['cpus']} CPUs" if platform.get("cpus") else None,
            (results.get("settings") or {}).get("device"),
        )
        if part
    )
    facts: list[tuple[str, Child]] = [
        ("Made", _moment(results["created"])),
        *data,
        ("Machine", machine),
        ("Project", git and [tag("code", git["commit"][:SHORT]), " with changes" if git["dirty"] else ""]),
    ]
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts if value]
    return Markup(tag("dl", items, class_="facts") + _command(results) + _versions(results))


def _moment(text: str) -> str:
    """An ISO 8601 time to the minute, in UTC."""
    moment = datetime.datetime.fromisoformat(text)
    return f"{moment.astimezone(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC"


def _command(results: Figures) -> Markup:
    command = results.get("command_line")
    if not command:
        return Markup("")
    # As sys.argv has it, a script's own name comes first.
    words = ["python", *command] if command[0].endswith(".py") else command
    # A word breaks only where it is wider than the page, not at the dashes of its option.
    spaced = [[" " if index else "", tag("span", shlex.quote(word))] for index, word in enumerate(words)]
    button = tag("button", "Copy", type="button", class_="copy", data_copy="command")
    return tag(
        "div",
        tag("pre", tag("code", spaced, id="command"), tabindex=0, aria_label="Command line"),
        button,
        class_="command",
    )


def _versions(results: Figures) -> Markup:
    versions, settings = results.get("versions") or {}, results.get("settings") or {}
    pairs = [(name, version or "not installed") for name, version in versions.items()]
    pairs += [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in settings.items()]
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs]
    return tag("details", tag("summary", "Versions and settings"), tag("dl", items, class_="facts small"))


def unloaded(results: Figures, of: str) -> Markup:
    """A table of the models that could not be loaded, `of` "codec" or the like; nothing where all were."""
    models = [model for model in results["models"] if model["failure"]]
    columns = [
        TableColumn(of, is_text=True),
        TableColumn("why it could not be loaded", is_text=True, class_="reason"),
    ]
    rows = [TableRow([_name(model["name"]), _reason(model["failure"])]) for model in models]
    caption = f"{of.capitalize()}s that could not be loaded: {len(models)}"
    return table(caption, columns, [(None, "", rows)]) if rows else Markup("")


def failures(caption: str, columns: Sequence[str], failed: Iterable[tuple[str, Sequence[str], str]]) -> Markup:
    """A table of what failed: the model, where, and the reason; nothing where nothing did."""
    rows = [
        TableRow([_name(model), *(Cell(text, text) for text in where), _reason(reason)])
        for model, where, reason in failed
    ]
    headings = [TableColumn(name, is_text=True) for name in ("model", *columns, "reason")]
    return table(f"{caption}: {len(rows)}", headings, [(None, "", rows)]) if rows else Markup("")


def definition_list(entries: Iterable[tuple[Child, Child]]) -> Markup:
    """Terms and what they mean."""
    return tag("dl", [tag("div", tag("dt", term), tag("dd", text)) for term, text in entries], class_="definitions")


def _name(model: str) -> Cell:
    return Cell(breakable(model), model.casefold(), class_="model")


def _reason(text: str) -> Cell:
    return Cell(text, text, class_="reason")
