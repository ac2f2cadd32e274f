"""ABX errors as Markdown tables, a condition each, and what they mean."""

from __future__ import annotations

import pandas as pd

from eval.abx.abx_estimates import AbxEstimate, difference
from eval.abx.abx_items import CONDITIONS
from eval.abx.abx_run import AbxRow, AbxRun, ConditionItems
from eval.abx.ctc_phones import RECOGNISER
from eval.harness import reporting
from eval.harness.statistics import RESAMPLES
from eval.representations.representation import Representation
from soundcodec_llmcodec.teacher_sizes import HAMA

# An interval over so few speakers says little of others.
_FEW_SPEAKERS = 10


def mark(run: AbxRun) -> str | None:
    """What a title says when its numbers must not be quoted."""
    return reporting.mark(run.material.clips.corpus.synthetic, run.material.clips.limit)


def baseline_of(run: AbxRun, condition: str) -> AbxRow:
    """What a condition's other rows are compared with: the first."""
    return next(row for row in run.rows if row.condition == condition)


def title(run: AbxRun) -> str:
    """What is measured on what."""
    sources = f" ({', '.join(run.material.clips.sources)})" if run.material.clips.sources else ""
    note = mark(run)
    return f"Phonetic discriminability (ABX): {run.material.clips.corpus.label}{sources}" + (
        f" -- {note}" if note else ""
    )


def markdown(run: AbxRun) -> str:
    """The tables, and what the columns mean."""
    parts = [f"## {title(run)}"]
    for part in run.material.conditions:
        rows = [row for row in run.rows if row.condition == part.condition]
        table = pd.DataFrame([_row(row, run) for row in rows])
        alignment = ["left"] + ["right"] * (table.shape[1] - 1)
        parts.append(f"### {part.condition}: {CONDITIONS[part.condition]}")
        parts.append(table.to_markdown(index=False, disable_numparse=True, colalign=alignment))
        parts.append(_sizes(part, rows[0]))
    return "\n\n".join([*parts, "\n".join(f"- {line}" for line in [*warnings(run), *legend(run)])])


def legend(run: AbxRun) -> list[str]:
    """What the columns mean."""
    return [
        "ABX error: the share of triplets in which X, an instance of A's phone, is farther from A than from B, an "
        "instance of another phone (ties count half); 0% is perfect, 50% chance; lower is better",
        "within: A, B and X of one speaker; across: X of another speaker than A and B",
        "distance: angle between frames, averaged along the path of dynamic time warping",
        "averaged over contexts, then speakers, then ordered pairs of phones",
        f"[95% interval]: {RESAMPLES} resamples of speakers and phones (crossed); difference: from the first row, over "
        "the same resamples",
        f"phones and their spans: {run.material.aligner}",
    ]


def warnings(run: AbxRun) -> list[str]:
    """What was left out, and what the intervals cannot say."""
    lines = [f"{model.name}: left out: {model.reason}" for model in run.unloaded]
    if run.material.aligner == RECOGNISER:
        taught = [model.name for model in run.models if HAMA in _speech_encoders(model)]
        lines += [f"{name} has learnt from {HAMA}, which reads the phones here: this flatters it" for name in taught]
    counts = run.material.counts
    if counts.without_speaker:
        lines.append(f"{counts.without_speaker} clips have no speaker and were left out")
    if counts.unreadable:
        lines.append(f"{counts.unreadable} clips cannot be read and were left out")
    few = min(len(part.plan.speakers) for part in run.material.conditions)
    if few == 1:
        lines.append("WARNING: one speaker: nothing is measured across speakers, and there are no intervals")
    elif few < _FEW_SPEAKERS:
        lines.append(
            f"WARNING: {few} speakers: the intervals are too narrow for so few, and say little of other voices"
        )
    return lines


def percent(value: AbxEstimate) -> str:
    """An error with its interval."""
    if value.error is None:
        return "-"
    text = f"{100 * value.error:.2f}"
    return (
        text if value.low is None or value.high is None else f"{text} [{100 * value.low:.2f}, {100 * value.high:.2f}]"
    )


def _speech_encoders(model: Representation) -> list[str]:
    """The frozen speech encoders that a model is, or was taught by."""
    facts = model.facts()
    return [facts.get("teacher", ""), *facts.get("teachers", ())]


def _row(row: AbxRow, run: AbxRun) -> dict[str, str]:
    baseline = baseline_of(run, row.condition)
    model = next(model for model in run.models if model.name == row.model)
    cells = {"model": row.model, "levels": str(model.facts().get("levels", "-"))}
    for side in ("within", "across"):
        own: AbxEstimate = getattr(row, side)
        compared = None if row is baseline else difference(own, getattr(baseline, side))
        cells[f"{side} %"] = percent(own)
        cells[f"{side}: difference"] = (
            "-"
            if compared is None
            else f"{100 * compared.mean:+.2f}"
            + (
                ""
                if compared.low is None or compared.high is None
                else f" [{100 * compared.low:+.2f}, {100 * compared.high:+.2f}]"
            )
        )
    return cells | {"frames/s": f"{model.frame_rate:g}", "dimensions": f"{model.dimensions:,}"}


def _sizes(part: ConditionItems, row: AbxRow) -> str:
    sides = "; ".join(
        f"{name}: {side.triplets:,} triplets, {side.pairs:,} pairs of phones, {side.speakers} speakers"
        for name, side in (("within", row.within), ("across", row.across))
    )
    return f"{len(part.items):,} of {part.of_items:,} items, {len(part.plan.phones)} phones. {sides}."
