"""Unigram and bigram perplexity: by hand, on tokens that are known, and never of what was counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from soundcodec_llmcodec.lm.ngrams import Ngrams
from soundcodec_llmcodec.train.code_perplexity import Predictability, predictability


def test_by_hand():
    """V = 4. The first clip counts 0 1 0 1 2; the second, 0 1 3, is measured by it.

    Unigram: N = 5, T = 3, c = (2, 2, 1, 0): one code seen once, two twice, d1 = 2 / (2 + 5) = 2/7, so p(w) =
    (c - d1)+ / 5 + d1 * 3 / 5 / 4. Bigram: pairs (start, 0), (0, 1) twice, (1, 0), (1, 2): three once, one twice,
    d2 = 4 / (4 + 3) = 4/7.
    """
    known = Ngrams.count([np.array([0, 1, 0, 1, 2])], 4)
    floor = 2 / 7 * 3 / 5 / 4
    p = [(2 - 2 / 7) / 5 + floor, (2 - 2 / 7) / 5 + floor, (1 - 2 / 7) / 5 + floor, floor]
    assert known.unigram(np.arange(4)) == pytest.approx(p)
    after_start = (1 - 4 / 7) / 1 + 4 / 7 * p[0]
    one_after_zero = (2 - 4 / 7) / 2 + 4 / 7 * 1 / 2 * p[1]
    three_after_one = 4 / 7 * 2 / 2 * p[3]
    got = known.bigram(np.array([4, 0, 1, 3]), np.array([0, 1, 3, 2]))
    assert got == pytest.approx([after_start, one_after_zero, three_after_one, p[2]])  # 3 was never seen before a code

    def bits(probabilities):
        return -sum(math.log2(x) for x in probabilities)

    back = Ngrams.count([np.array([0, 1, 3])], 4)
    other = back.unigram(np.array([0, 1, 0, 1, 2]))
    found = predictability([[0, 1, 0, 1, 2], [0, 1, 3]], 4)
    assert found.tokens == 8
    assert found.unigram_bits == pytest.approx((bits([p[0], p[1], p[3]]) + bits(other)) / 8)
    back_bigram = back.bigram(np.array([4, 0, 1, 0, 1]), np.array([0, 1, 0, 1, 2]))
    assert found.bigram_bits == pytest.approx(
        (bits([after_start, one_after_zero, three_after_one]) + bits(back_bigram)) / 8
    )


def test_every_distribution_sums_to_one():
    generator = np.random.default_rng(0)
    known = Ngrams.count([generator.integers(0, 6, 40), generator.integers(2, 9, 30)], 12)
    codes = np.arange(12)
    assert known.unigram(codes).sum() == pytest.approx(1)
    for history in range(13):  # 9 to 11 never occurred, 12 is the start of a clip
        probabilities = known.bigram(np.full(12, history), codes)
        assert probabilities.sum() == pytest.approx(1)
        assert (probabilities > 0).all()


def test_known_sources_are_measured_as_they_are():
    """Even noise over V costs log2 V either way; a cycle costs a bigram next to nothing; a Markov chain its entropy."""
    generator = np.random.default_rng(1)
    even = predictability([generator.integers(0, 64, 20_000) for _ in range(4)], 64)
    assert even.unigram_bits == pytest.approx(6, abs=0.02)
    assert even.bigram_bits == pytest.approx(6, abs=0.1)
    cycle = predictability([np.arange(20_000) % 16] * 2, 16)
    assert cycle.unigram_bits == pytest.approx(4, abs=0.001)
    assert cycle.bigram_bits < 0.01
    # From each code, one of two: 1 bit a token, though every code is as frequent as the others.
    steps = [np.cumsum(generator.integers(1, 3, 20_000)) % 64 for _ in range(2)]
    chain = predictability(steps, 64)
    assert chain.unigram_bits == pytest.approx(6, abs=0.02)
    assert chain.bigram_bits == pytest.approx(1, abs=0.02)
    assert chain.bigram_perplexity == pytest.approx(2, abs=0.03)


def test_nothing_is_counted_on_what_it_measures():
    """Two clips without a code in common, each easy by its own counts, cost more than a uniform guess."""
    found = predictability([[0] * 50, [1] * 50], 20_480)
    assert found.unigram_bits > math.log2(20_480)
    assert found.bigram_bits > math.log2(20_480)


def test_few_tokens_of_a_large_vocabulary_stay_near_the_uniform_guess():
    """All codes seen once: no count means anything, and neither model may lose much by its counts."""
    generator = np.random.default_rng(2)
    clips = np.split(generator.permutation(20_480)[:4_000], 10)
    found = predictability(clips, 20_480)
    assert found.unigram_bits == pytest.approx(math.log2(20_480), abs=0.2)
    assert found.bigram_bits == pytest.approx(found.unigram_bits, abs=0.01)


def test_fewer_than_two_clips_give_nothing():
    assert predictability([], 4) is None
    assert predictability([[0, 1, 2]], 4) is None
    assert predictability([[0, 1, 2], []], 4) is None
    assert isinstance(predictability([[0], [], [1]], 4), Predictability)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        ([0, 4], r"clip 1 holds the code 4, which is not in \[0, 4\)"),
        ([-1], "code -1"),
        ([[0, 1]], r"\(1, 2\)"),
        ([0.5], "float"),
    ],
)
def test_what_are_no_codes_is_rejected(clip, message):
    with pytest.raises(ValueError, match=message):
        predictability([[0], clip], 4)


def test_the_log_gets_plain_numbers():
    found = predictability([[0, 1], [1, 0]], 4).to_dict()
    assert found.keys() == {"unigram_bits", "bigram_bits", "unigram_perplexity", "bigram_perplexity"}
    assert found["bigram_perplexity"] == pytest.approx(2 ** found["bigram_bits"])
