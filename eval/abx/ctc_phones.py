"""Phones and where they are, as a CTC phoneme recogniser reads a clip.

A CTC recogniser marks a phone by a spike of a frame or a few, with blanks between. A phone's span is made of it so: it
ends half way to the next phone's spike, and begins half way from the one before; where these are far, in pauses and at
the clip's ends, it reaches REACH seconds beyond its own spike. Phones are the likeliest token of each frame; a
diacritic belongs to the phone before it, word boundaries and blanks to none.
"""

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.abx.phone_alignments import AlignedPhone
from soundcodec_llmcodec.extras import missing

RECOGNISER = "the phoneme recogniser of the package hama, the likeliest token of each frame"
FRAME_S = 0.02  # frame f is centred at f * FRAME_S
REACH = 0.06
# Its attention is over the whole clip.
SHORTEST_S, LONGEST_S = 0.1, 120.0


def require() -> None:
    """Raise ImportError, with how to install it, where the recogniser's package is missing."""
    if importlib.util.find_spec("hama") is None:
        raise ImportError(missing("aligning phones without --alignments or --items", "hama", "eval-all"))


def phones_of(clip_id: str, samples: np.ndarray, speaker: str) -> list[AlignedPhone]:
    """The phones read in samples (S,) at 16 kHz; none where a clip is too short, too long or not to be read."""
    seconds = len(samples) / 16_000
    if not SHORTEST_S <= seconds <= LONGEST_S:
        return []
    model = _recogniser()
    try:
        frames = model(samples, 16_000).frame_token_ids
    except RuntimeError:  # its compiled part gave up on this clip
        return []
    return aligned(clip_id, [model.decoder_tokens[token] for token in frames], seconds, speaker)


def aligned(clip_id: str, tokens: Sequence[str], seconds: float, speaker: str | None = None) -> list[AlignedPhone]:
    """The phones of a token a frame, with their spans by the rule above."""
    spikes = _spikes(tokens)
    phones = []
    for place, (phone, start, end) in enumerate(spikes):
        low, high = max(0.0, start - REACH), min(seconds, end + REACH)
        if place:
            low = max(low, (spikes[place - 1][2] + start) / 2)
        if place + 1 < len(spikes):
            high = min(high, (end + spikes[place + 1][1]) / 2)
        if low < high:
            phones.append(AlignedPhone(clip_id, low, high, phone, speaker))
    return phones


def _spikes(tokens: Sequence[str]) -> list[tuple[str, float, float]]:
    """(phone, start, end) in seconds of each run of frames with one phone."""
    spikes: list[tuple[str, float, float]] = []
    before = ""
    for frame, token in enumerate(tokens):
        start, end = max(0.0, (frame - 0.5) * FRAME_S), (frame + 0.5) * FRAME_S
        kind = unicodedata.category(token[0])
        # "<blank>" and "<wb>" begin with a sign, a diacritic is a mark or a modifier letter.
        if spikes and (kind in ("Mn", "Lm", "Sk") or (token == before and kind in ("Ll", "Lo"))):
            phone, first, _ = spikes[-1]
            spikes[-1] = (phone, first, end)
        elif kind in ("Ll", "Lo"):
            spikes.append((token, start, end))
        before = token
    return spikes


@functools.cache
def _recogniser() -> Any:
    import hama

    # Its own settings favour blanks less.
    return hama.ASRModel(decode=hama.ASRDecodeConfig(temperature=1.0, blank_bias=0.0))
