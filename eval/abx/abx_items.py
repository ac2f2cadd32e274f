"""The items of ABX: instances of phones with their context and speaker, and the `.item` files that hold them.

An `.item` file is what the ZeroSpeech challenge, libri-light and fastabx read: a header, then
`file onset offset phone prev-phone next-phone speaker` in each line, with spaces between, times in seconds.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from eval.abx.phone_alignments import AbxError, AlignedPhone

HEADER = "#file onset offset #phone prev-phone next-phone speaker"
SILENCE = "SIL"
# What an item is, and which items are compared.
CONDITIONS = {
    "triphone": "a phone with the whole phone before and after it, among items of the same two neighbours",
    "within": "a phone alone, among items of the same two neighbours",
    "any": "a phone alone, whatever its neighbours",
}
# Spans that are farther apart than this have a pause between them.
_TOUCHING_S = 0.011
# Of onsets and offsets, as `.item` files have them, so that items from a file are those that were written.
_DECIMALS = 4


@dataclass(frozen=True)
class AbxItem:
    """A phone between two others in a clip, by a speaker; `onset` to `offset` in seconds is what is compared."""

    clip_id: str
    onset: float
    offset: float
    phone: str
    before: str
    after: str
    speaker: str


def items_of(phones: Iterable[AlignedPhone], speakers: Mapping[str, str], condition: str) -> list[AbxItem]:
    """The items of aligned phones: a speaker is the phone's, or else that of its clip; those without are left out.

    Items of "triphone" span their neighbours, and have some; a pause, or the clip's end, is the neighbour SIL of the
    other conditions.
    """
    by_clip: dict[str, list[AlignedPhone]] = defaultdict(list)
    for phone in phones:
        by_clip[phone.clip_id].append(phone)
    items = []
    for clip_id, of_clip in by_clip.items():
        of_clip.sort(key=lambda phone: phone.start)
        for place, phone in enumerate(of_clip):
            speaker = phone.speaker or speakers.get(clip_id)
            if speaker is None:
                continue
            before = of_clip[place - 1] if place and _touch(of_clip[place - 1], phone) else None
            last = place + 1 == len(of_clip)
            after = None if last or not _touch(phone, of_clip[place + 1]) else of_clip[place + 1]
            first, final = phone, phone
            if condition == "triphone":
                if before is None or after is None:
                    continue
                first, final = before, after
            names = [SILENCE if side is None else side.phone for side in (before, after)]
            onset, offset = round(first.start, _DECIMALS), round(final.end, _DECIMALS)
            items.append(AbxItem(clip_id, onset, offset, phone.phone, names[0], names[1], speaker))
    return items


def _touch(first: AlignedPhone, second: AlignedPhone) -> bool:
    return second.start - first.end <= _TOUCHING_S


def context_of(item: AbxItem, condition: str) -> tuple[str, str]:
    """What items that are compared share beside the speaker."""
    return ("", "") if condition == "any" else (item.before, item.after)


def capped(items: Sequence[AbxItem], condition: str, most: int, seed: int) -> list[AbxItem]:
    """At most so many items of each context, speaker and phone, drawn by the group's own seed, in the order given."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        before, after = context_of(item, condition)
        groups[before, after, item.speaker, item.phone].append(place)
    kept: list[int] = []
    for key, places in groups.items():
        if len(places) > most:
            digest = hashlib.sha256("\t".join((str(seed), *key)).encode()).digest()
            drawn = np.random.default_rng(int.from_bytes(digest[:8], "little")).permutation(len(places))[:most]
            places = [places[index] for index in drawn]
        kept += places
    return [items[place] for place in sorted(kept)]


def item_text(items: Iterable[AbxItem]) -> str:
    """Items as an `.item` file; white space and % in names are percent-encoded."""
    lines = [HEADER]
    for item in items:
        times = f"{item.onset:.{_DECIMALS}f} {item.offset:.{_DECIMALS}f}"
        names = " ".join(map(_quoted, (item.phone, item.before, item.after, item.speaker)))
        lines.append(f"{_quoted(item.clip_id)} {times} {names}")
    return "\n".join(lines) + "\n"


def read_items(path: Path) -> list[AbxItem]:
    """The items of an `.item` file. Raises AbxError for a line that is none."""
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], 2):
        columns = line.split()
        if not columns:
            continue
        where = f"{path} line {number}"
        if len(columns) != len(HEADER.split()):
            raise AbxError(f"{where}: expected {HEADER!r}, got {line[:80]!r}")
        try:
            onset, offset = float(columns[1]), float(columns[2])
        except ValueError as error:
            raise AbxError(f"{where}: onset and offset are seconds, got {columns[1]!r}, {columns[2]!r}") from error
        if not 0 <= onset < offset < float("inf"):
            raise AbxError(f"{where}: an item from {onset} to {offset} s; expected 0 <= onset < offset")
        clip_id, phone, before, after, speaker = (unquote(columns[place]) for place in (0, 3, 4, 5, 6))
        items.append(AbxItem(clip_id, onset, offset, phone, before, after, speaker))
    return items


def _quoted(name: str) -> str:
    return "".join(quote(sign) if sign == "%" or sign.isspace() else sign for sign in name)
