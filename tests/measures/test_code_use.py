"""Codes in use and their entropy, of known counts."""

from __future__ import annotations

import numpy as np
import pytest

from soundcodec_llmcodec.measures.code_use import CodeUse, codes_used, entropy_bits


def test_use_of_known_codes():
    use = CodeUse.of(np.array([[0, 0, 1, 1, 2, 2, 3, 3]]))
    assert (use.tokens, use.codes, use.entropy_bits, use.perplexity, use.distinct_share) == (8, 4, 2.0, 4.0, 0.5)


def test_levels_have_codes_of_their_own():
    """The second level's code 1 is another one than the first level's; the entropy is the mean of 1 and 0 bits."""
    use = CodeUse.of(np.array([[1, 1, 2, 2], [1, 1, 1, 1]]))
    assert (use.tokens, use.codes, use.entropy_bits, use.distinct_share) == (8, 3, 0.5, 3 / 8)
    assert CodeUse.of_counts([[2, 0, 2], [4]]) == use


def test_entropy_is_of_shares_in_any_order_and_scale():
    shares = np.random.default_rng(0).dirichlet(np.ones(500))
    assert entropy_bits(shares) == entropy_bits(shares[::-1])
    assert entropy_bits(3 * shares) == pytest.approx(entropy_bits(shares), rel=1e-12)
    assert entropy_bits([1, 0, 1, 2]) == 1.5
    assert str(entropy_bits([7])) == "0.0"


def test_codes_of_several_clips():
    assert codes_used([np.array([1, 2]), np.array([2, 3, 3])]) == 3
    assert codes_used([]) == 0
