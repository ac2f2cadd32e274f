"""Background pairs: one signal-to-noise ratio, equal loudness, and another background where there has to be one."""

from __future__ import annotations

import numpy as np
import pytest

from eval.salmon.build import background_pairs, material_reading
from eval.salmon.build.material import Utterance
from soundcodec_llmcodec.measures.loudness import loudness

RATE = 16_000


@pytest.fixture
def sounds(sound_folder):
    return list(material_reading.sounds(str(sound_folder)).items)


def speech(seconds: float = 4.0) -> Utterance:
    samples = 0.1 * np.random.default_rng(4).standard_normal(round(seconds * RATE))
    return Utterance("u", "here", samples)


@pytest.mark.parametrize("part", list(background_pairs.OTHERS))
def test_members_differ_in_the_second_halfs_background(part, sounds):
    one = speech()
    for seed in range(6):
        pair = background_pairs.background_pair(part, one, sounds, np.random.default_rng(seed))
        start, end = pair.cut - pair.fade // 2, pair.cut + pair.fade // 2
        assert np.array_equal(pair.positive[:start], pair.negative[:start])
        assert loudness(pair.positive[end:], RATE) == pytest.approx(loudness(pair.negative[end:], RATE), abs=0.1)
        told = pair.about["backgrounds"]
        assert told["positive"]["recording"] == told["first_half"]["recording"] != told["negative"]["recording"]
        assert (told["negative"]["kind"] == told["first_half"]["kind"]) == (part == "bg_domain_consistency")
        # The ratio is what metadata say, in both halves of both members.
        gain = 10 ** (pair.about["gain_db"] / 20)
        clean = gain * one.samples
        for member in (pair.positive, pair.negative):
            for half in (slice(0, start), slice(end, None)):
                noise = loudness((member / 32768 - clean)[half], RATE)
                assert loudness(clean, RATE) - noise == pytest.approx(pair.about["snr_db"], abs=0.4)


def test_both_members_change_their_background_at_the_cut(sounds):
    """The positive goes on with another excerpt, so that the change itself tells nothing."""
    one = speech()
    for seed in range(8):
        told = background_pairs.background_pair("bg_all_consistency", one, sounds, np.random.default_rng(seed)).about
        first, again = told["backgrounds"]["first_half"], told["backgrounds"]["positive"]
        goes_on = first["start_s"] + (told["cut_sample"] - told["fade_samples"] / 2) / RATE
        assert first["id"] != again["id"] or abs(again["start_s"] - goes_on) >= background_pairs.APART_S - 1e-3


def test_sounds_that_are_too_short_are_refused(sounds):
    with pytest.raises(ValueError, match="0 of them long enough"):
        background_pairs.background_pair("bg_all_consistency", speech(9.0), sounds, np.random.default_rng(0))
