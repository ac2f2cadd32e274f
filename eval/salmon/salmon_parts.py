"""The parts of SALMon (Maimon, Roth and Adi 2024): what the two recordings of a pair differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from soundcodec_llmcodec.nearest import nearest


@dataclass(frozen=True)
class SalmonPart:
    """A part: its name in the data set, its column in tables, and what its pairs differ in."""

    name: str
    title: str
    about: str


PARTS = {
    part.name: part
    for part in (
        SalmonPart("speaker_consistency", "Speaker", "the second half is spoken by the same or by another speaker"),
        SalmonPart(
            "gender_consistency", "Gender", "the second half is spoken by the same speaker or by one of other gender"
        ),
        SalmonPart(
            "sentiment_consistency", "Sentiment", "the second half is spoken with the same or with another emotion"
        ),
        SalmonPart("rir_consistency", "RIR", "the second half sounds in the same or in another room"),
        SalmonPart("bg_all_consistency", "BG-All", "the second half has the same or another background, of any kind"),
        SalmonPart(
            "bg_domain_consistency", "BG-Domain", "the second half has the same or another background of one kind"
        ),
        SalmonPart("bg_alignment", "BG-Align", "the background fits what is said, or does not"),
        SalmonPart("sentiment_alignment", "Sent-Align", "the emotion fits what is said, or does not"),
    )
}


def chosen(names: Sequence[str], available: Sequence[str]) -> tuple[str, ...]:
    """The parts of these names that a suite has, in the order of PARTS; ("all",) for every one.

    A name may be the data set's or the table's, in any case. Raises ValueError for one that the suite does not have.
    """
    by_name = {name.lower(): name for name in available}
    by_name |= {PARTS[name].title.lower(): name for name in available if name in PARTS}
    parts = set()
    for name in names:
        if name.lower() == "all":
            parts |= set(available)
        elif name.lower() in by_name:
            parts.add(by_name[name.lower()])
        else:
            hint = f" Did you mean {near!r}?" if (near := nearest(name.lower(), by_name)) else ""
            raise ValueError(f"there is no part {name!r} here; the parts are all, {', '.join(available)}.{hint}")
    return tuple(in_order(parts))


def in_order(names: Sequence[str] | set[str]) -> list[str]:
    """Parts as tables show them: SALMon's first, in the order of PARTS."""
    return [name for name in PARTS if name in names] + sorted(set(names) - set(PARTS))
