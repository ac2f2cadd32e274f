"""Rooms: impulse responses that are simulated, or read from a folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal

from eval.salmon.build.built_pairs import RATE
from soundcodec_llmcodec.extras import missing

# Rooms to draw: from a small furnished one to a hall, from near the speaker to well away.
SMALLEST_M, LARGEST_M = (2.5, 2.5, 2.3), (9.0, 8.0, 4.0)
DECAYS_S = (0.15, 0.9)
DISTANCES_M = (0.8, 3.0)
# Rooms as the two of a pair differ at least by this factor in their reverberation time.
DIFFERENT = 1.5
MAX_ORDER = 40
BANDS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
_LONGEST_S = 1.5


@dataclass(frozen=True, eq=False)
class Room:
    """An impulse response at RATE, float64 (S,), which starts at its direct sound and has unit energy.

    `decay_s` is its measured reverberation time (T20 to -60 dB); `about` tells how it came to be, JSON-ready.
    """

    name: str
    response: np.ndarray
    decay_s: float
    about: Mapping[str, Any]

    def reverberated(self, samples: np.ndarray) -> np.ndarray:
        """Samples (S,) as they sound in this room, (S,): what rings on after the end is left out."""
        return scipy.signal.fftconvolve(samples, self.response)[: len(samples)]


def check() -> None:
    """Raise ImportError, naming the extra, where rooms cannot be simulated."""
    if importlib.util.find_spec("pyroomacoustics") is None:
        raise ImportError(missing("simulating rooms", "pyroomacoustics", "eval"))


def simulated(count: int, seed: int) -> list[Room]:
    """Shoebox rooms by the image source method (pyroomacoustics), drawn from `seed`. Raises ImportError without it."""
    check()
    import pyroomacoustics

    rooms: list[Room] = []
    draw = np.random.default_rng([seed, 0x0B0E])
    while len(rooms) < count:
        size = draw.uniform(SMALLEST_M, LARGEST_M)
        decay = float(np.exp(draw.uniform(*np.log(DECAYS_S))))
        # Walls and what stands in a room swallow more at high frequencies, or at low ones: the colour of the room.
        tilt = np.geomspace(1, draw.uniform(0.6, 2.5), len(BANDS_HZ))
        speaker = np.array([*draw.uniform(0.6, size[:2] - 0.6), draw.uniform(1.1, 1.7)])
        away, angle = draw.uniform(*DISTANCES_M), draw.uniform(0, 2 * np.pi)
        listener = speaker + np.array([away * np.cos(angle), away * np.sin(angle), draw.uniform(-0.3, 0.3)])
        if np.any(listener < 0.3) or np.any(listener > size - 0.3):
            continue
        try:
            absorption, order = pyroomacoustics.inverse_sabine(decay, size)
        except ValueError:  # so large a room cannot be so dry
            continue
        coefficients = np.clip(absorption * tilt / np.mean(tilt), 0.02, 0.98)
        material = pyroomacoustics.Material(
            {"description": "drawn", "coeffs": coefficients.tolist(), "center_freqs": list(BANDS_HZ)}
        )
        box = pyroomacoustics.ShoeBox(size, fs=RATE, materials=material, max_order=min(order, MAX_ORDER))
        box.add_source(speaker)
        box.add_microphone(listener)
        box.compute_rir()
        about = {
            "kind": "simulated",
            "size_m": _rounded(size),
            "speaker_m": _rounded(speaker),
            "listener_m": _rounded(listener),
            "absorption": dict(zip(map(str, BANDS_HZ), _rounded(coefficients), strict=True)),
            "max_order": min(order, MAX_ORDER),
        }
        rooms.append(room_of(f"room-{len(rooms)}", np.asarray(box.rir[0][0], dtype=np.float64), about))
    return rooms


def read(folder: Path) -> list[Room]:
    """The sound files of a folder as impulse responses, the first channel of each. Raises ValueError for fewer than
    two."""
    from soundcodec_llmcodec import audio
    from soundcodec_llmcodec.data import sound_files

    rooms = []
    for path in sound_files(folder):
        clip = audio.as_clip(path)
        response = audio.resample(clip.samples[0], clip.sampling_rate, RATE).astype(np.float64)
        name = path.relative_to(folder).as_posix()
        rooms.append(room_of(name, response, {"kind": "given", "file": name}))
    if len(rooms) < 2:
        raise ValueError(f"{folder} holds {len(rooms)} impulse responses (sound files); at least 2 are needed")
    return rooms


def room_of(name: str, response: np.ndarray, about: Mapping[str, Any]) -> Room:
    """A Room from a bare response (S,): from the direct sound on, at most 1.5 s, with unit energy. Raises ValueError
    for a silent one."""
    peak = float(np.abs(response).max(initial=0.0))
    if peak == 0:
        raise ValueError(f"the impulse response {name!r} is silent")
    # The direct sound is the first that comes near the peak; 1 ms before it belongs to the band-limited pulse.
    first = int(np.argmax(np.abs(response) > 0.5 * peak))
    response = response[max(0, first - RATE // 1000) :][: round(_LONGEST_S * RATE)]
    response = response / np.sqrt(np.sum(response**2))
    decay = decay_of(response)
    return Room(name, response, decay, {"name": name, **about, "decay_s": round(decay, 3)})


def decay_of(response: np.ndarray) -> float:
    """Reverberation time in s: the slope from -5 to -25 dB of the backward-integrated energy (ISO 3382), to -60 dB."""
    left = np.cumsum(response[::-1] ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    begin, end = int(np.argmax(level <= -5)), int(np.argmax(level <= -25))
    return 3 * max(end - begin, 1) / RATE


def unlike(rooms: list[Room], first: Room) -> list[Room]:
    """The rooms whose reverberation time differs from that of `one` by the factor DIFFERENT or more."""
    return [room for room in rooms if abs(np.log(room.decay_s / first.decay_s)) >= np.log(DIFFERENT)]


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values]
