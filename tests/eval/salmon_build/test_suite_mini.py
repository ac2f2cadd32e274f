"""The mini suite: made in memory, always the same, and pairs that differ in what their part names."""

from __future__ import annotations

import numpy as np
import pytest

from eval.salmon.build import mini_suite
from soundcodec_llmcodec.measures.loudness import loudness

pytest.importorskip("pyroomacoustics")


@pytest.fixture(scope="module")
def pairs():
    suite = mini_suite.suite()
    return {part: list(suite.pairs(part)) for part in suite.parts}


def test_it_says_that_it_is_synthetic_and_how_large_it_is(pairs):
    suite = mini_suite.suite()
    assert suite.synthetic
    assert suite.label == "mini (synthetic)"
    assert suite.parts == ("speaker_consistency", "rir_consistency", "bg_all_consistency", "bg_domain_consistency")
    assert dict(suite.sizes) == {part: len(found) for part, found in pairs.items()}
    assert min(suite.sizes.values()) >= 12


def test_members_agree_but_for_the_second_half(pairs):
    for part, found in pairs.items():
        for pair in found:
            one, other = pair.positive, pair.negative
            begin = pair.about["cut_sample"] - pair.about["fade_samples"] // 2
            end = begin + pair.about["fade_samples"]
            assert one.rate == other.rate == 16_000, part
            assert len(one.samples) == len(other.samples)
            assert np.array_equal(one.samples[:begin], other.samples[:begin])
            assert not np.array_equal(one.samples[end:], other.samples[end:])
            assert loudness(one.samples[end:], 16_000) == pytest.approx(loudness(other.samples[end:], 16_000), abs=0.1)
            assert max(np.abs(one.samples).max(), np.abs(other.samples).max()) < 1
            assert one.digest != other.digest


def test_no_two_pairs_are_alike_and_it_is_the_same_again(pairs):
    digests = [(pair.positive.digest, pair.negative.digest) for found in pairs.values() for pair in found]
    assert len(set(digests)) == len(digests)
    for part, found in pairs.items():
        again = next(iter(mini_suite.suite().pairs(part)))
        assert (again.positive.digest, again.negative.digest) == (found[0].positive.digest, found[0].negative.digest)


def test_the_other_voice_goes_as_often_up_as_down(pairs):
    """Else the direction of the processing would be the answer."""
    factors = [pair.about["voice_factor"]["positive"] for pair in pairs["speaker_consistency"]]
    assert sum(factor > 1 for factor in factors) == len(factors) / 2
