"""N-grams as language models: the trigram by hand, sums by brute force, known sources, folders."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from token_lms import SIZE, make_clips, make_source

from soundcodec_llmcodec.lm.counted import COUNTS_FILE, NgramLM, UniformLM
from soundcodec_llmcodec.lm.lm_folder import TokenLMError
from soundcodec_llmcodec.lm.ngrams import Ngrams, histories


def test_the_trigram_by_hand():
    """V = 3, S the start of a clip; counted on 0 1 2, 0 1 2, 0 1 0.

    Triples: S S 0 three times, S 0 1 three times, 0 1 2 twice, 0 1 0 once: one once, one twice, d3 = 2 / (2 + 3) = 0.4.
    Pairs: S 0 and 0 1 three times, 1 2 twice, 1 0 once: d2 = 0.4. Single: 0 four times, 1 three times, 2 twice, so
    none once and one twice, d1 = 1 / (1 + 3) = 0.25, and p(w) = (c - 0.25) / 9 + 0.25 * 3 / 9 / 3.
    """
    known = Ngrams.count([np.array(clip) for clip in ([0, 1, 2], [0, 1, 2], [0, 1, 0])], 3, order=3)
    p = [(count - 0.25) / 9 + 0.25 / 9 for count in (4, 3, 2)]
    two_after_one = (2 - 0.4) / 3 + 0.4 * 2 / 3 * p[2]
    one_after_one = 0.4 * 2 / 3 * p[1]
    zero_first = (3 - 0.4) / 3 + 0.4 / 3 * ((3 - 0.4) / 3 + 0.4 / 3 * p[0])
    two_after_zero_one = (2 - 0.4) / 3 + 0.4 * 2 / 3 * two_after_one
    one_after_zero_one = 0.4 * 2 / 3 * one_after_one
    start, v = 3, 4
    before = np.array([0 * v + 1, 0 * v + 1, start * v + start, 2 * v + 1, 2 * v + 2])
    found = known.trigram(before, np.array([2, 1, 0, 2, 1]))
    # 2 1 was never seen and leaves the bigram; 2 2 neither, and 2 was never before anything.
    assert found == pytest.approx([two_after_zero_one, one_after_zero_one, zero_first, two_after_one, p[1]])
    assert known.probabilities([np.array([0, 1, 1])])[2] == pytest.approx(one_after_zero_one)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_distribution_sums_to_one(order):
    """Over all clips of three tokens there are, of a vocabulary with tokens that never occurred."""
    lm = NgramLM.count(make_clips(40, 3, 17, 1, size=5), make_source(7), order)
    tokens = np.arange(7)
    clips = [np.array([a, b, c]) for a in tokens for b in tokens for c in tokens]
    p = np.exp(-np.stack([scores.audio_nll for scores in lm.score(clips)])).reshape(7, 7, 7, 3)
    assert (p > 0).all()
    assert p[:, 0, 0, 0].sum() == pytest.approx(1)
    assert p[:, :, 0, 1].sum(axis=1) == pytest.approx(np.ones(7))
    assert p[..., 2].sum(axis=2) == pytest.approx(np.ones((7, 7)))
    assert p.prod(axis=-1).sum() == pytest.approx(1)


def test_a_clip_knows_nothing_of_the_one_before_it():
    lm = NgramLM.count(make_clips(30, 30), make_source(), 3)
    clips = make_clips(4, 1, 9, seed=1)
    for clip, scores in zip(clips, lm.score(clips), strict=True):
        alone = lm.score([clip])[0]
        assert np.array_equal(alone.audio_nll, scores.audio_nll)
        assert len(scores.audio_nll) == len(clip)
    assert lm.score([]) == []


def test_histories_begin_anew_in_every_clip():
    clips = [np.array([1, 2, 0]), np.array([4]), np.array([3, 3])]
    assert histories(clips, 5, 2).tolist() == [5, 1, 2, 5, 5, 3]
    assert histories(clips, 5, 3).tolist() == [35, 31, 8, 35, 35, 33]
    assert histories(clips, 5, 1).tolist() == [0] * 6


def test_a_trigram_knows_what_a_bigram_cannot():
    """Each token is the sum of the two before it: the trigram has it for next to nothing, a bigram for log2 V."""
    generator = np.random.default_rng(0)
    clips = []
    for _ in range(40):
        clip = list(generator.integers(0, 16, 2))
        while len(clip) < 400:
            # A new pair now and then, so that all pairs are about as frequent.
            clip.append((clip[-1] + clip[-2]) % 16 if len(clip) % 20 else int(generator.integers(0, 16)))
        clips.append(np.array(clip))
    lm = NgramLM.count(clips[:30], make_source(16), 3)
    costs = [
        np.mean(np.concatenate([s.audio_nll for s in lm.up_to(order).score(clips[30:])])) / math.log(2)
        for order in (1, 2, 3)
    ]
    assert costs[0] == pytest.approx(4, abs=0.05)
    assert costs[1] > 3.5
    assert costs[2] < 0.8
    assert [lm.up_to(order).name for order in (1, 2, 3)] == ["unigram", "bigram", "trigram"]


def test_lower_orders_are_those_counted_by_themselves():
    clips, new = make_clips(40, 20), make_clips(9, seed=1)
    three = NgramLM.count(clips, make_source(), 3)
    for order in (1, 2):
        alone = NgramLM.count(clips, make_source(), order)
        assert np.array_equal(three.up_to(order).score(new)[0].full_nll, alone.score(new)[0].full_nll)
        assert three.up_to(order).identity == alone.identity != three.identity


def test_nothing_counted_is_a_uniform_guess():
    for order in (1, 2, 3):
        scores = NgramLM.count([], make_source(), order).score(make_clips(5))[0]
        assert scores.audio_nll == pytest.approx(np.full(5, math.log(SIZE)))


def test_keys_of_large_vocabularies_do_not_overflow():
    size = 2_000_000
    top = size - 1
    known = Ngrams.count([np.array([top, top, top, top])], size, order=3)
    # S S top, S top top and top top top twice: one event twice, two once; d3 = 3 / (3 + 3).
    assert known.probabilities([np.array([top] * 3)])[2] > (2 - 0.5) / 2
    with pytest.raises(ValueError, match="at most 2000000"):
        Ngrams.count([], size + 1)


@pytest.mark.parametrize("order", [0, 4])
def test_other_orders_are_refused(order):
    with pytest.raises(ValueError, match="order"):
        Ngrams.count([], 5, order)
    with pytest.raises(ValueError, match="order"):
        Ngrams.count([], 5, 3).up_to(order)
    with pytest.raises(ValueError, match="order"):
        Ngrams.count([], 5, 2).trigram(np.array([0]), np.array([0]))


def test_tokens_that_the_codec_does_not_have_are_refused():
    with pytest.raises(ValueError, match="token 50"):
        NgramLM.count([np.array([50])], make_source(), 1)
    lm = NgramLM.count(make_clips(5), make_source(), 2)
    with pytest.raises(ValueError, match="token -1"):
        lm.score([np.array([-1])])
    with pytest.raises(ValueError, match="50 tokens are not of toy, which has 51"):
        NgramLM(lm.ngrams, make_source(51))


def test_uniform_clips_of_any_lengths_tie_exactly():
    lm = UniformLM(20_480)
    scores = lm.score([np.zeros(n, dtype=int) for n in (1, 3, 7, 49, 100, 149, 1001, 20_011)])
    means = {scores_of.audio_nll.sum() / len(scores_of.audio_nll) for scores_of in scores}
    assert len(means) == 1
    assert means.pop() == pytest.approx(math.log(20_480), rel=1e-7)
    assert (lm.name, lm.prefix, lm.codec_hash, lm.full_size) == ("uniform", "bos", None, 20_480)
    assert lm.identity == UniformLM(20_480).identity != UniformLM(20_479).identity


@pytest.mark.parametrize("order", [1, 2, 3])
def test_saved_counts_come_back(order, tmp_path):
    lm = NgramLM.count(make_clips(60, 30), make_source(), order)
    lm.save(tmp_path / "counts")
    back = NgramLM.load(tmp_path / "counts")
    new = make_clips(20, seed=3)
    assert np.array_equal(back.score(new)[0].audio_nll, lm.score(new)[0].audio_nll)
    assert (back.identity, back.source, back.name) == (lm.identity, lm.source, lm.name)
    assert back.codec_hash == "a" * 64


def test_counts_that_are_not_sound_are_refused(tmp_path):
    lm = NgramLM.count(make_clips(60), make_source(), 2)
    lm.save(tmp_path)
    path = tmp_path / COUNTS_FILE
    arrays = load_file(path)
    for name, changed, message in [
        ("pair_keys", arrays["pair_keys"][::-1].copy(), "not in order"),
        ("pair_keys", arrays["pair_keys"] + 51 * 50, "out of range"),
        ("pair_keys", arrays["pair_keys"][1:].copy(), "bigram|order 2"),
        ("unigrams", arrays["unigrams"][1:].copy(), "50 unigrams"),
    ]:
        save_file(arrays | {name: changed}, path)
        with pytest.raises(TokenLMError, match=message):
            NgramLM.load(tmp_path)
    save_file({"unigrams": arrays["unigrams"]}, path)
    with pytest.raises(TokenLMError, match="pair_keys"):
        NgramLM.load(tmp_path)
    path.write_bytes(b"no counts")
    with pytest.raises(TokenLMError, match="cannot read the counts"):
        NgramLM.load(tmp_path)


def test_ngrams_need_no_transformers(tmp_path):
    NgramLM.count(make_clips(60), make_source(), 3).save(tmp_path)
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "import numpy as np\n"
        "from soundcodec_llmcodec.lm.loading import load_token_lm\n"
        f"print(len(load_token_lm({str(tmp_path)!r}).score([np.arange(5)])[0].audio_nll))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "5\n", done.stderr
