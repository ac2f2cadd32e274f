"""Pairs of one recording whose second half has the same or another background."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eval.salmon.build.built_pairs import RATE, BuiltPair, db, finished
from eval.salmon.build.material import Sound, Utterance
from eval.salmon.build.room_pairs import MIDDLE
from eval.salmon.build.splicing import joined, quietest
from soundcodec_llmcodec.measures.loudness import gain_beside, gain_to, loudness

FADE = round(0.050 * RATE)
SNRS_DB = (0.0, 10.0)
# An excerpt this much below the sound's own loudness is mostly silence.
SILENT_DB = -12.0
# A second excerpt of a sound starts at least this far from where the first would simply go on.
APART_S = 0.25
# Equal loudness of the second halves moves the second background by what it happens to share with the speech.
SNR_WITHIN_DB = 0.25
_TRIES = 200


def another_of_kind(first: Sound, other: Sound) -> bool:
    """What is another background in bg_domain_consistency."""
    return other.kind == first.kind and other.recording != first.recording


def of_another_kind(first: Sound, other: Sound) -> bool:
    """What is another background in bg_all_consistency: one of another class, as in SALMon's recipe."""
    return other.kind != first.kind


OTHERS: dict[str, Callable[[Sound, Sound], bool]] = {
    "bg_all_consistency": of_another_kind,
    "bg_domain_consistency": another_of_kind,
}


def background_pair(part: str, speech: Utterance, sounds: Sequence[Sound], draw: np.random.Generator) -> BuiltPair:
    """A pair of `speech` with backgrounds out of `sounds`.

    At the cut the background changes in both members, by one cross-fade: to another excerpt of the same recording, or
    to an excerpt of another one. Raises ValueError where no sounds fit.
    """
    seconds = len(speech.samples) / RATE
    cut = quietest(speech.samples, RATE, MIDDLE[0] * seconds, MIDDLE[1] * seconds)
    before, after = cut + FADE // 2, len(speech.samples) - cut + FADE // 2
    room = round(2 * APART_S * RATE)
    fitting = [sound for sound in sounds if len(sound.samples) >= max(before, after) + room]
    for _ in range(_TRIES):
        chosen = _three(part, fitting, draw)
        pair = chosen and _mixed(part, speech, chosen, cut, before, after, draw)
        if pair:
            return pair
    raise ValueError(
        f"{speech.name} ({seconds:.1f} s): no two backgrounds for {part} among {len(sounds)} sounds, {len(fitting)} of "
        f"them long enough (at least {(max(before, after) + room) / RATE:.1f} s)"
    )


def _three(part: str, sounds: Sequence[Sound], draw: np.random.Generator) -> tuple[Sound, Sound, Sound] | None:
    """The first half's background, an excerpt of the same recording, and another background; recordings are drawn
    with equal chances, however many excerpts there are of each."""
    first = _drawn(sounds, draw)
    if first is None:
        return None
    same = _drawn([sound for sound in sounds if sound.recording == first.recording], draw)
    other = _drawn([sound for sound in sounds if OTHERS[part](first, sound)], draw)
    return None if same is None or other is None else (first, same, other)


def _drawn(sounds: Sequence[Sound], draw: np.random.Generator) -> Sound | None:
    recordings = sorted({sound.recording for sound in sounds})
    if not recordings:
        return None
    recording = recordings[int(draw.integers(len(recordings)))]
    excerpts = [sound for sound in sounds if sound.recording == recording]
    return excerpts[int(draw.integers(len(excerpts)))]


def _mixed(
    part: str,
    speech: Utterance,
    sounds: tuple[Sound, Sound, Sound],
    cut: int,
    before: int,
    after: int,
    draw: np.random.Generator,
) -> BuiltPair | None:
    """The pair; None where the drawn excerpts are silent, simply go on, or cannot be had at one loudness and SNR."""
    starts = [
        int(draw.integers(len(sound.samples) - length + 1))
        for sound, length in zip(sounds, (before, after, after), strict=True)
    ]
    snr = float(draw.uniform(*SNRS_DB))
    goes_on = starts[0] + before - FADE
    if sounds[0].name == sounds[1].name and abs(starts[1] - goes_on) < APART_S * RATE:
        return None
    level = loudness(speech.samples, RATE) - snr
    pieces = []
    for sound, start, length in zip(sounds, starts, (before, after, after), strict=True):
        piece = sound.samples[start : start + length]
        if loudness(piece, RATE) < loudness(sound.samples, RATE) + SILENT_DB:
            return None
        pieces.append(piece * gain_to(piece, RATE, level))
    positive = speech.samples + joined(pieces[0], pieces[1], FADE, equal_power=True)
    end = cut + FADE // 2
    gain = gain_beside(speech.samples[end:], pieces[2][FADE:], RATE, loudness(positive[end:], RATE))
    if gain is None or abs(db(gain)) > SNR_WITHIN_DB:
        return None
    negative = speech.samples + joined(pieces[0], gain * pieces[2], FADE, equal_power=True)
    excerpts = [
        {**sound.about(), "start_s": round(start / RATE, 4)} for sound, start in zip(sounds, starts, strict=True)
    ]
    about = {
        "recording": speech.about(),
        "snr_db": round(snr, 3),
        "backgrounds": {"first_half": excerpts[0], "positive": excerpts[1], "negative": excerpts[2]},
        "second_half_background_gain_db": {"positive": 0.0, "negative": db(gain)},
    }
    return finished(part, positive, negative, cut, FADE, about)
