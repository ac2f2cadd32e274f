"""The mini suite: pairs made in memory of the harness's bundled clips, so that SALMon runs anywhere, offline.

Every clip is synthetic, and so is what differs: nothing measured here is for reporting. The parts are those that these
clips can honestly give:

- speaker: no sentence is said by two of the bundled voices, so the other speaker is the same recording with pitch and
  formants scaled. Both halves of both members go through that processing, each by itself, up or down by one factor, so
  that members differ in the direction only.
- room and background: as in every suite, from speech without a room of its own, and the clips of Music and Audio.

There is no gender part (it would be the speaker part once more) and no sentiment part (nothing here is acted).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from types import MappingProxyType

import numpy as np

from eval.harness import corpora
from eval.harness.clips import CorpusClip
from eval.salmon.build import rooms as room_library
from eval.salmon.build.background_pairs import background_pair
from eval.salmon.build.built_pairs import RATE, BuiltPair, db, finished
from eval.salmon.build.material import Sound, Utterance
from eval.salmon.build.room_pairs import FADE, MIDDLE, room_pair
from eval.salmon.build.splicing import joined, quietest
from eval.salmon.build.stretching import revoiced
from eval.salmon.suite import Pair, PairedRecording, Suite
from soundcodec_llmcodec.audio import resample
from soundcodec_llmcodec.measures.loudness import gain_to, loudness

NAME = "mini"
LABEL = "mini (synthetic)"
VERSION = 1
SEED = 0
# The two voices of a clip: 1.25 between them is about what lies between a man's formants and a woman's.
VOICE_FACTOR = 1.25**0.5
ROOMS = 8
SPEAKER, ROOM, BG_ALL, BG_DOMAIN = (
    "speaker_consistency",
    "rir_consistency",
    "bg_all_consistency",
    "bg_domain_consistency",
)
# The clip that was made in a simulated room.
IN_A_ROOM = frozenset({"speech-10"})
# Kinds as bg_domain takes them; the splits of the set.
KINDS = MappingProxyType({"Music": "music", "Audio": "sound"})


def suite() -> Suite:
    """The mini suite; a part is made when it is read, always to the same samples on the same kind of machine."""
    sizes = {part: len(_plan(part)) for part in (SPEAKER, ROOM, BG_ALL, BG_DOMAIN)}
    return Suite(NAME, LABEL, True, sizes, _read, revision=f"{VERSION}")


def _read(part: str) -> Iterator[Pair]:
    for index, (speech, direction) in enumerate(_plan(part)):
        built = _built(part, speech, direction, np.random.default_rng([SEED, index, sum(part.encode())]))
        yield Pair(part, f"{index:03d}", _recording(built.positive), _recording(built.negative), built.about)


@functools.cache
def _plan(part: str) -> tuple[tuple[Utterance, int], ...]:
    """What a part is made of: every clip twice, the second time in another voice, room or background."""
    clips = [clip for clip in _speech() if part == SPEAKER or clip.name not in IN_A_ROOM]
    return tuple((clip, direction) for direction in (1, -1) for clip in clips)


def _built(part: str, speech: Utterance, direction: int, draw: np.random.Generator) -> BuiltPair:
    if part == SPEAKER:
        return _voice_pair(speech, VOICE_FACTOR**direction)
    if part == ROOM:
        return room_pair(speech, list(_rooms()), draw)
    return background_pair(part, speech, _sounds(), draw)


def _voice_pair(speech: Utterance, factor: float) -> BuiltPair:
    """The first half in the voice of `factor`, the second in the same voice or in that of its inverse."""
    seconds = len(speech.samples) / RATE
    cut = quietest(speech.samples, RATE, MIDDLE[0] * seconds, MIDDLE[1] * seconds)
    head = revoiced(speech.samples[: cut + FADE // 2], factor, RATE)
    rest = speech.samples[cut - FADE // 2 :]
    tails = [revoiced(rest, voice, RATE) for voice in (factor, 1 / factor)]
    level = loudness(rest[FADE:], RATE)
    gains = [gain_to(tail[FADE:], RATE, level) for tail in tails]
    positive, negative = (joined(head, gain * tail, FADE) for tail, gain in zip(tails, gains, strict=True))
    about = {
        "recording": speech.about(),
        "voice_factor": {"first_half": factor, "positive": factor, "negative": 1 / factor},
        "second_half_gain_db": {"positive": db(gains[0]), "negative": db(gains[1])},
    }
    return finished(SPEAKER, positive, negative, cut, FADE, about)


def _recording(samples: np.ndarray) -> PairedRecording:
    ready = samples.astype(np.float32) / 32768
    ready.setflags(write=False)
    return PairedRecording(ready, RATE, hashlib.sha256(samples.tobytes()).hexdigest())


@functools.cache
def _speech() -> tuple[Utterance, ...]:
    return tuple(
        Utterance(clip.clip_id, clip.source, _at_rate(clip), text=clip.text, lang=clip.lang)
        for clip in _clips("Speech")
    )


@functools.cache
def _sounds() -> tuple[Sound, ...]:
    return tuple(
        Sound(clip.clip_id, clip.source, _at_rate(clip), kind, recording=clip.clip_id)
        for split, kind in KINDS.items()
        for clip in _clips(split)
    )


@functools.cache
def _rooms() -> tuple[room_library.Room, ...]:
    return tuple(room_library.simulated(ROOMS, SEED))


def _clips(split: str) -> Sequence[CorpusClip]:
    return list(corpora.load(corpora.MINI).clips(split))


def _at_rate(clip: CorpusClip) -> np.ndarray:
    return resample(clip.samples, clip.rate, RATE).astype(np.float64)
