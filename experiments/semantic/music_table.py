"""Distances of all rows from what was embedded, as a table and as results.json.

Letters: N items, D dimensions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness.reporting import mark
from eval.harness.results import heading, write
from eval.harness.schema import ResultsSchema
from eval.sets.frechet import FOLDS, SetDistance, halves, set_distance
from eval.sets.set_embeddings import SetEmbedding
from experiments.semantic.music_rows import EmbeddedClip

SCHEMA = ResultsSchema(
    name="soundcodec-llmcodec/music-continuation",
    version=1,
    program="experiments/semantic/music_continuation.py",
    rows_file="continuations.jsonl",
    required=("rows", "settings"),
    row_keys=("row", "seed", "prompt"),
    row_columns=("recording", "items"),
)


@dataclass(frozen=True)
class RowDistance:
    """A row's distance to its truth, and that of two halves of the truth; None, with the reason, where there are too
    few items."""

    description: Mapping[str, Any]
    distance: SetDistance | None
    floor: SetDistance | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        parts = {"distance": self.distance, "floor": self.floor}
        numbers = {name: None if part is None else dataclasses.asdict(part) for name, part in parts.items()}
        return {**self.description, **numbers, "reason": self.reason}


def row_distance(description: Mapping[str, Any], clips: Sequence[EmbeddedClip], seeds: Sequence[int]) -> RowDistance:
    """The distance of one row's clips, on average over the seeds. Too few items are a reason, no error."""
    by_seed = {seed: [clip for clip in clips if clip.seed == seed] for seed in (None, *seeds)}
    items = {seed: np.concatenate([clip.items for clip in of_seed]) for seed, of_seed in by_seed.items()}
    groups = {
        seed: [clip.recording for clip in of_seed for _ in range(len(clip.items))] for seed, of_seed in by_seed.items()
    }
    try:
        distance = set_distance(
            [items[seed] for seed in seeds], items[None], [groups[seed] for seed in seeds], groups[None]
        )
    except ValueError as error:
        return RowDistance(description, None, None, str(error))
    try:
        return RowDistance(description, distance, halves(items[None], groups[None]))
    except ValueError as error:
        return RowDistance(description, distance, None, f"no floor: {error}")


def write_results(
    folder: Path,
    settings: Mapping[str, Any],
    clips: Sequence[EmbeddedClip],
    embedding: SetEmbedding,
    command_line: Sequence[str],
) -> str:
    """Measure what a run embedded, write its files and return its table."""
    rows = [
        row_distance(model, [clip for clip in clips if clip.label == model["name"]], settings["seeds"])
        for model in settings["models"]
    ]
    trial = mark(False, settings["limit"])
    contents = heading(
        SCHEMA,
        mark=trial,
        command_line=command_line,
        settings=settings,
        statistics={
            "distance": "squared Fréchet distance; value: plain; corrected: jackknife estimate without the bias of n",
            "interval": f"95%, jackknife over recordings in at most {FOLDS} folds, Student's t",
        },
        packages=tuple(sorted({"numpy", "scipy", "soxr", "torch", "transformers", *embedding.packages})),
    )
    lines = (
        {"row": clip.label, "seed": clip.seed, "prompt": clip.prompt_id, "recording": clip.recording}
        | {"items": len(clip.items)}
        for clip in clips
    )
    text = table(rows, embedding, settings, trial)
    write(folder, SCHEMA, {**contents, "rows": [row.as_dict() for row in rows]}, lines, text)
    return text


def table(rows: Sequence[RowDistance], embedding: SetEmbedding, settings: Mapping[str, Any], trial: str | None) -> str:
    """table.md."""
    lengths, seeds = settings["lengths"], settings["seeds"]
    sampling = ", ".join(f"{name} {value:g}" for name, value in settings["sampling"].items() if value is not None)
    about = (
        f"{settings['n_prompts']} prompts of {lengths['prompt_s']:g} s from held-out recordings of "
        f"{settings['dataset']}, each continued for {lengths['continue_s']:g} s with {len(seeds)} "
        f"{'seed' if len(seeds) == 1 else 'seeds'} ({sampling})."
    )
    lines = [
        f"# Fréchet distance over {embedding.name}, of music that language models continued",
        *([f"**{trial}**"] if trial else []),
        f"{about} Embedding: {embedding.about}.",
        "Every row is held against the true continuations through its own codec, so that the codec's fidelity does not "
        "count. The distance (squared, lower is better) is corrected for the number of items, as is the floor, which "
        "is that of one half of the true continuations to the other half, and 0 but for chance. The interval is a "
        "jackknife's over recordings. `plain` is the distance without the correction, which no other n may be compared "
        "with.",
        "\n".join(
            [
                "| codec | language model | distance ↓ | 95% interval | floor | plain | n | recordings |",
                "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |",
                *(_line(row) for row in rows),
            ]
        ),
    ]
    if any(row.distance is not None and row.distance.shrinkage > 0 for row in rows):
        lines.append(
            f"† No more items than the {embedding.dimensions} dimensions: the covariances are shrunk, the correction "
            "does not hold, and the numbers tell an order at best. Give more clips, or take an embedding of fewer "
            "dimensions."
        )
    lines += [f"{row.description['name']}: {row.reason}" for row in rows if row.reason]
    return "\n\n".join(lines)


def _line(row: RowDistance) -> str:
    names = f"| {row.description['name']} | {row.description['lm']} |"
    distance, floor = row.distance, row.floor
    if distance is None:
        return f"{names} - | - | - | - | - | - |"
    sign = " †" if distance.shrinkage > 0 else ""
    numbers = f" {distance.corrected:.3g}{sign} | {distance.low:.3g} to {distance.high:.3g} |"
    floor_text = "-" if floor is None else f"{floor.corrected:.3g}{' †' if floor.shrinkage > 0 else ''}"
    return f"{names}{numbers} {floor_text} | {distance.value:.3g} | {distance.n} | {distance.groups} |"
