"""Pairs of one recording whose second half sounds in the same or in another room."""

from __future__ import annotations

import numpy as np

from eval.salmon.build import rooms as room_library
from eval.salmon.build.built_pairs import RATE, BuiltPair, db, finished
from eval.salmon.build.material import Utterance
from eval.salmon.build.rooms import Room
from eval.salmon.build.splicing import halves, quietest
from soundcodec_llmcodec.measures.loudness import gain_beside, loudness

FADE = round(0.010 * RATE)
# Where the cut may lie, as shares of the recording: in the quietest place of its middle.
MIDDLE = (0.4, 0.6)


def room_pair(speech: Utterance, rooms: list[Room], draw: np.random.Generator) -> BuiltPair:
    """A pair of `speech` with two of the `rooms`.

    The dry recording is split by a cross-fade, each half is heard in its room, and both are added: in both members
    the first half rings on into the second, so that no reverberation breaks off.
    """
    first = rooms[int(draw.integers(len(rooms)))]
    others = room_library.unlike(rooms, first)
    if not others:
        raise ValueError(f"no room differs enough from {first.name} (decay {first.decay_s:.2f} s); give more rooms")
    other = others[int(draw.integers(len(others)))]
    seconds = len(speech.samples) / RATE
    cut = quietest(speech.samples, RATE, MIDDLE[0] * seconds, MIDDLE[1] * seconds)
    head, tail = halves(speech.samples, cut, FADE)
    wet, same, another = first.reverberated(head), first.reverberated(tail), other.reverberated(tail)
    positive = wet + same
    end = cut + FADE // 2
    gain = gain_beside(wet[end:], another[end:], RATE, loudness(positive[end:], RATE))
    if gain is None:
        raise ValueError(f"{speech.name}: no gain gives the second half its loudness")
    about = {
        "recording": speech.about(),
        "rooms": {"positive": dict(first.about), "negative": dict(other.about)},
        "second_half_gain_db": {"positive": 0.0, "negative": db(gain)},
    }
    return finished("rir_consistency", positive, wet + gain * another, cut, FADE, about)
