"""Rooms: simulated ones are what they say, and pairs of rooms differ in the room only."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import soundfile

from eval.salmon.build import room_pairs, rooms
from eval.salmon.build.material import Utterance
from soundcodec_llmcodec.measures.loudness import loudness

RATE = 16_000


def dying(decay_s: float, seed: int, delay: int = 0) -> np.ndarray:
    """Noise that dies away by 60 dB in decay_s, after its direct sound."""
    t = np.arange(round(1.2 * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(t)) * 10 ** (-3 * t / decay_s)
    noise[0] = 8.0
    return np.concatenate([np.zeros(delay), noise])


def speech() -> Utterance:
    draw = np.random.default_rng(4)
    samples = 0.1 * draw.standard_normal(4 * RATE)
    samples[2 * RATE - 800 : 2 * RATE + 800] *= 0.001
    return Utterance("u", "here", samples)


def test_the_decay_and_the_direct_sound_are_found():
    room = rooms.room_of("r", dying(0.5, 0, delay=500), {})
    assert room.decay_s == pytest.approx(0.5, rel=0.1)
    assert int(np.argmax(np.abs(room.response))) == RATE // 1000
    assert np.sum(room.response**2) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="silent"):
        rooms.room_of("r", np.zeros(100), {})


def test_simulated_rooms_are_drawn_from_the_seed():
    pytest.importorskip("pyroomacoustics")
    made = rooms.simulated(3, seed=1)
    again, other = rooms.simulated(3, seed=1), rooms.simulated(3, seed=2)
    assert all(np.array_equal(a.response, b.response) and a.about == b.about for a, b in zip(made, again, strict=True))
    assert made[0].about != other[0].about
    for room in made:
        assert 0.05 < room.decay_s < 1.5
        assert all(
            0.3 <= at <= size - 0.3 for at, size in zip(room.about["listener_m"], room.about["size_m"], strict=True)
        )


def test_without_pyroomacoustics_the_error_names_the_extra(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyroomacoustics" else find(name))
    with pytest.raises(ImportError, match=r"\[eval\]"):
        rooms.simulated(2, seed=0)


def test_a_folder_of_responses(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * dying(0.3, 0), RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match="at least 2"):
        rooms.read(tmp_path)
    soundfile.write(tmp_path / "b.wav", 0.1 * np.repeat(dying(0.8, 1), 2), 2 * RATE, subtype="FLOAT")
    found = rooms.read(tmp_path)
    assert [room.about["file"] for room in found] == ["a.wav", "b.wav"]
    assert found[0].decay_s == pytest.approx(0.3, rel=0.15)


def test_a_room_pair_differs_in_the_room_of_its_second_half():
    library = [
        rooms.room_of(name, dying(decay, seed), {})
        for seed, (name, decay) in enumerate([("dry", 0.2), ("nearly as dry", 0.25), ("hall", 0.9)])
    ]
    one = speech()
    pair = room_pairs.room_pair(one, library, np.random.default_rng(3))
    again = room_pairs.room_pair(one, library, np.random.default_rng(3))
    assert np.array_equal(pair.positive, again.positive)
    assert np.array_equal(pair.negative, again.negative)
    end = pair.cut + pair.fade // 2
    assert 2 * RATE - 800 <= pair.cut <= 2 * RATE + 800
    assert np.array_equal(pair.positive[: pair.cut - pair.fade // 2], pair.negative[: pair.cut - pair.fade // 2])
    assert not np.array_equal(pair.positive[end:], pair.negative[end:])
    assert loudness(pair.positive[end:], RATE) == pytest.approx(loudness(pair.negative[end:], RATE), abs=0.1)
    named = {room.name: room for room in library}
    told = pair.about["rooms"]
    assert {told["positive"]["name"], told["negative"]["name"]} != {"dry", "nearly as dry"}
    # The positive is the whole recording in one room: nothing is spliced that could be heard.
    whole = named[told["positive"]["name"]].reverberated(one.samples)
    gain = 10 ** (pair.about["gain_db"] / 20)
    assert np.abs(pair.positive / 32768 - gain * whole).max() < 1e-3


def test_rooms_that_are_too_alike_are_refused():
    library = [rooms.room_of(str(k), dying(0.4, k), {}) for k in range(2)]
    with pytest.raises(ValueError, match="no room differs enough"):
        room_pairs.room_pair(speech(), library, np.random.default_rng(0))
