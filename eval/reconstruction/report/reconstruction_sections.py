"""The sections of words: what was run, what failed, what the numbers mean."""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Sequence
from typing import Any

from eval.harness.pages import figures
from eval.harness.pages.cells import Cell, TableColumn, TableRow, table
from soundcodec_llmcodec.pages.markup import Child, Markup, breakable, join, tag

SHORT = 12
Figures = dict[str, Any]


def banners(results: Figures) -> Markup:
    """What a reader must know before any number."""
    lines = []
    if results.get("mark"):
        lines.append(tag("p", tag("strong", results["mark"]), class_="banner", role="note"))
    if results.get("rules") == "codec-superb":
        text = "Codec-SUPERB's rules: a failure counts as 1.0 (PESQ) or 0.0 (STOI, F0 correlation), not as a reason."
        lines.append(tag("p", tag("strong", text), class_="banner rules", role="note"))
    return join(lines)


def provenance(results: Figures) -> Markup:
    """Where the numbers are from: data set, date, machine, command line, versions."""
    data = results["dataset"]
    clips = ", ".join(f"{split} {n}" for split, n in data["clips"].items())
    return made_with(results, [("Clips", clips), ("Data set", data["name"]), *identified(data)])


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
    entries = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts if value]
    return tag("dl", entries, class_="facts") + _command(results) + _versions(results)


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


def failures(results: Figures) -> Markup:
    """Codecs that could not be loaded, and clips that could not be reconstructed."""
    unloaded = [(model["name"], model["failure"]) for model in results["models"] if model["failure"]]
    failed = results.get("failures") or []
    parts = []
    if unloaded:
        columns = [
            TableColumn("codec", is_text=True),
            TableColumn("why it could not be loaded", is_text=True, class_="reason"),
        ]
        rows = [
            TableRow([Cell(breakable(name), name.casefold(), class_="model"), Cell(why, why, class_="reason")])
            for name, why in unloaded
        ]
        parts.append(table(f"Codecs that could not be loaded: {len(unloaded)}", columns, [(None, "", rows)]))
    if failed:
        columns = [TableColumn(name, is_text=True) for name in ("model", "split", "clip", "reason")]
        rows = [
            TableRow(
                [
                    Cell(breakable(one["model"]), one["model"].casefold(), class_="model"),
                    Cell(one["split"], one["split"]),
                    Cell(one["id"], one["id"]),
                    Cell(one["reason"], one["reason"], class_="reason"),
                ]
            )
            for one in failed
        ]
        parts.append(table(f"Clips without a reconstruction: {len(failed)}", columns, [(None, "", rows)]))
    return join(parts) or tag("p", "Every codec was loaded, and every clip was reconstructed.")


def definitions(results: Figures) -> Markup:
    """What each metric is, and how means, intervals and p-values were computed."""
    entries = []
    for name, metric in results["metrics"].items():
        low, high = metric["value_range"]
        ends = (
            f"{'-∞' if low is None else figures.number(low, 1)} to {'∞' if high is None else figures.number(high, 1)}"
        )
        facts = " · ".join(
            (
                f"{figures.ARROWS[metric['direction']]} {figures.BETTER[metric['direction']]}",
                f"unit: {metric['unit']}",
                f"range: {ends}",
                f"version {metric['version']}",
            )
        )
        entries.append(
            tag(
                "div",
                tag("dt", name),
                tag("dd", metric["definition"], tag("p", facts, class_="muted small")),
                metric.get("judge") and tag("dd", "Judge: ", metric["judge"], class_="muted small"),
                tag("dd", "Source: ", metric["source"], class_="muted small"),
            )
        )
    methods = [tag("div", tag("dt", name), tag("dd", text)) for name, text in _methods(results).items()]
    return (
        tag("dl", entries, class_="definitions")
        + tag("h3", "How the numbers are made")
        + tag("dl", methods, class_="definitions")
    )


def _methods(results: Figures) -> dict[str, str]:
    """How means, intervals and p-values were computed, with the constants of the run where it tells them."""
    drawing = results.get("statistics") or {}
    share = f"more than {drawing['max_failed_share']:.0%}" if "max_failed_share" in drawing else "too many"
    drawn = f"{drawing['bootstrap_resamples']:,} times " if "bootstrap_resamples" in drawing else ""
    seed = f"seed {drawing['seed']}" if "seed" in drawing else "a fixed seed"
    test = "a two-sided sign-flip test of the clips' differences"
    if "sign_flips" in drawing and "exact_up_to_clips" in drawing:
        test += (
            f" (every combination of signs for up to {drawing['exact_up_to_clips']} clips, "
            f"else {drawing['sign_flips']:,} drawn ones, {seed})"
        )
    floor = {
        "Originals": "What the recogniser hears in the clips themselves against their text, over the same clips: the "
        "floor of a codec's errors. They are in no comparison, and no clip is left out for them. Against what is heard "
        "in the original (dwer), the originals have no errors by definition."
    }
    return {
        "Means": "Over the clips on which every compared codec has a value, so that they compare; n says how many. "
        "A metric that weights its clips, as a word error rate does by words, has a weighted mean.",
        "Refused means": f"A codec of which {share} of the clips have no value of a metric gets no mean of it, but the "
        "reason.",
        "Intervals": f"95% percentile bootstrap: the clips are drawn {drawn}with replacement ({seed}).",
        "Comparisons": "Each codec is paired with the baseline clip by clip; the difference is the codec minus the "
        f"baseline, its p-value is that of {test}, adjusted by Holm's method for the codecs compared in that metric. "
        f"▲ and ▼ mark an adjusted p below {figures.SIGNIFICANT}.",
        "Bounds": "They code nothing: the clip itself, or the clip after resampling, scored like a codec's audio.",
        **(floor if results.get("originals") else {}),
    }
