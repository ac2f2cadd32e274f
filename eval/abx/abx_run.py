"""A run: phones are aligned once, items are the same for every representation, and each is scored on all of them.

Letters: F frames, D features.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from eval.abx import abx_cells, ctc_phones
from eval.abx.abx_cells import AbxCells, AbxPlan
from eval.abx.abx_clips import AbxClips, ClipCounts
from eval.abx.abx_estimates import AbxEstimate, estimate
from eval.abx.abx_items import AbxItem, capped, items_of, read_items
from eval.abx.item_distances import ItemFrames
from eval.abx.phone_alignments import AbxError, AlignedPhone, read_alignments
from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from eval.harness.model_specs import Unloaded
from eval.representations.representation import Representation


@dataclass(frozen=True)
class AbxSettings:
    """What is compared: conditions (of `abx_items.CONDITIONS`), at most so many items a phone, context and speaker, X
    of at most so many other speakers, a seed for both, and files of alignments or items to take in place of the
    recogniser's."""

    conditions: tuple[str, ...] = ("triphone", "any")
    max_items: int = 10
    max_speakers: int = 5
    seed: int = 0
    alignments: Path | None = None
    items: Path | None = None
    progress: bool = False


@dataclass(frozen=True, eq=False)
class ConditionItems:
    """A condition's items, all of which take part; what is compared with what; how many there were to draw from."""

    condition: str
    items: list[AbxItem]
    plan: AbxPlan
    of_items: int


@dataclass(frozen=True, eq=False)
class AbxMaterial:
    """What is compared, the same for every representation: clips, phones (none where items were given) and items."""

    clips: AbxClips
    counts: ClipCounts
    phones: list[AlignedPhone]
    conditions: list[ConditionItems]
    aligner: str


@dataclass(frozen=True, eq=False)
class AbxRow:
    """A representation's errors in a condition."""

    model: str
    condition: str
    within: AbxEstimate
    across: AbxEstimate
    cells: AbxCells


@dataclass(frozen=True, eq=False)
class AbxRun:
    """The figures, model by model, what they are of, how long each model took, and what could not be had."""

    material: AbxMaterial
    models: list[Representation]
    rows: list[AbxRow]
    seconds: dict[str, float]
    unloaded: tuple[Unloaded, ...]


def prepare(clips: AbxClips, settings: AbxSettings) -> AbxMaterial:
    """Align the phones of the clips, or read them, and choose each condition's items. Raises AbxError where there is
    nothing to compare."""
    if settings.items is not None and len(settings.conditions) != 1:
        raise AbxError(f"--items holds the items of one condition; got --context {' '.join(settings.conditions)}")
    given_items = read_items(settings.items) if settings.items else []
    phones = read_alignments(settings.alignments) if settings.alignments else []
    spoken = {item.clip_id for item in given_items} | {phone.clip_id for phone in phones if phone.speaker}
    read = settings.alignments is None and settings.items is None
    counts = ClipCounts()
    lengths: dict[str, float] = {}
    speakers: dict[str, str] = {}
    hidden = not (settings.progress and read)
    for clip in tqdm(clips.counted(counts, spoken), desc="phones", unit="clip", disable=hidden):
        lengths[clip.clip_id] = clip.seconds
        if clip.speaker is not None:
            speakers[clip.clip_id] = clip.speaker
        if read:
            phones += ctc_phones.phones_of(clip.clip_id, clip.samples)
    counts.check(clips)
    conditions = []
    for condition in settings.conditions:
        items = given_items if settings.items else items_of(phones, speakers, condition)
        conditions.append(_condition(items, lengths, condition, settings))
    given = settings.items or settings.alignments
    aligner = ctc_phones.RECOGNISER if given is None else f"the file {given.name}"
    return AbxMaterial(clips, counts, phones, conditions, aligner)


def run(
    material: AbxMaterial, models: Sequence[Representation], unloaded: tuple[Unloaded, ...] = (), progress: bool = False
) -> AbxRun:
    """Measure representations on the items. One that gives no frames of a clip is left out with the reason, and costs
    the others nothing. Raises AbxError where none is left."""
    rows: list[AbxRow] = []
    seconds: dict[str, float] = {}
    failed: list[Unloaded] = []
    for model in models:
        begun = time.perf_counter()
        try:
            rows += _rows(model, material, progress)
        except AbxError as error:
            failed.append(Unloaded(model.name, str(error)))
            continue
        seconds[model.name] = time.perf_counter() - begun
    if not rows:
        raise AbxError(f"no model was measured: {'; '.join(f'{each.name}: {each.reason}' for each in failed)}")
    return AbxRun(material, [model for model in models if model.name in seconds], rows, seconds, (*unloaded, *failed))


def item_frames(item: AbxItem, frames: np.ndarray, frame_rate: float) -> np.ndarray:
    """The frames of (F, D) whose middle lies in the item; the one around its middle where none does."""
    # Rounded, so that 0.07 s at 50 frames a second is 3.5 frames and not a little more.
    start = max(0, math.ceil(round(item.onset * frame_rate - 0.5, 6)))
    end = min(len(frames), math.floor(round(item.offset * frame_rate - 0.5, 6)) + 1)
    if end <= start:
        start = min(len(frames) - 1, int((item.onset + item.offset) / 2 * frame_rate))
        end = start + 1
    return frames[start:end]


def _condition(
    items: list[AbxItem], lengths: dict[str, float], condition: str, settings: AbxSettings
) -> ConditionItems:
    here = [item for item in items if item.clip_id in lengths]
    beyond = next((item for item in here if item.onset >= lengths[item.clip_id]), None)
    if beyond is not None:
        raise AbxError(
            f"an item of {beyond.clip_id} begins at {beyond.onset} s, but that clip has {lengths[beyond.clip_id]:.3f} s"
        )
    if items and not here:
        raise AbxError(
            f"no item is of a clip of this data set: items name {items[0].clip_id!r}, clips {next(iter(lengths))!r}"
        )
    drawn = capped(here, condition, settings.max_items, settings.seed)
    # Items that nothing is compared with go, so that a file of items holds those that count.
    used = abx_cells.plan(drawn, condition, settings.max_speakers, settings.seed).used
    kept = [drawn[place] for place in used]
    if not kept:
        raise AbxError(
            f"nothing can be compared in the condition {condition!r}: of {len(here)} items no two phones of one "
            "speaker share a context and have another instance; take more clips, or --context any"
        )
    plan = abx_cells.plan(kept, condition, settings.max_speakers, settings.seed)
    return ConditionItems(condition, kept, plan, len(here))


def _rows(model: Representation, material: AbxMaterial, progress: bool) -> list[AbxRow]:
    """A model's errors in every condition; clips are read once."""
    conditions = material.conditions
    clip_ids = {item.clip_id for part in conditions for item in part.items}
    places: list[dict[str, list[int]]] = []
    for part in conditions:
        by_clip: dict[str, list[int]] = {}
        for place, item in enumerate(part.items):
            by_clip.setdefault(item.clip_id, []).append(place)
        places.append(by_clip)
    collected: list[dict[int, np.ndarray]] = [{} for _ in conditions]
    for clip in tqdm(material.clips, desc=model.name, unit="clip", disable=not progress):
        if clip.clip_id not in clip_ids:
            continue
        try:
            frames = model.frames(clip.samples)
        except FOREIGN_ERRORS as error:
            raise AbxError(f"no frames of the clip {clip.clip_id}: {described(error)}") from error
        for part, by_clip, into in zip(conditions, places, collected, strict=True):
            for place in by_clip.get(clip.clip_id, ()):
                into[place] = item_frames(part.items[place], frames, model.frame_rate).copy()
    rows = []
    for part, own in zip(conditions, collected, strict=True):
        cells = abx_cells.scored(part.plan, ItemFrames.of([own[place] for place in range(len(part.items))]))
        sizes = len(part.plan.phones), len(part.plan.speakers)
        within, across = (estimate(cells.part(mask), *sizes) for mask in (cells.is_within, ~cells.is_within))
        rows.append(AbxRow(model.name, part.condition, within, across, cells))
    return rows
