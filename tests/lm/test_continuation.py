"""Recordings that go on: codes alone, the right lengths, one seed one continuation, and an end where the model ends."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from token_lms import BOS, EOS, FIRST, SIZE, make_clips, make_lm, make_source

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.continuation import (
    Sampling,
    codes_to_tokens,
    continue_audio,
    continue_tokens,
    tokens_to_codes,
)
from soundcodec_llmcodec.lm.scores import CodecMismatchError

PROMPT = make_clips(6)[0]


def with_head(lm, **biases):
    """The model with logits that are always these, and 0 for every other row; names are ids with an i before them."""
    head = torch.nn.Linear(lm.model.lm_head.in_features, lm.full_size)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        for name, bias in biases.items():
            head.bias[int(name[1:])] = bias
    lm.model.set_output_embeddings(head)
    return lm


@pytest.mark.parametrize("kind", ["qwen3_tied", "qwen3_untied"])
def test_the_likeliest_tokens_are_those_of_the_logits(kind):
    """Greedy continuation, step by step without a cache: the highest logit among the codes."""
    lm = make_lm(kind)
    found, ended = continue_tokens(lm, PROMPT, 12, Sampling(temperature=0), may_end=False)
    ids = [BOS, *(FIRST + PROMPT)]
    for token in found:
        with torch.no_grad():
            logits = lm.model(input_ids=torch.tensor([ids])).logits[0, -1, FIRST : FIRST + SIZE]
        assert token == int(logits.argmax())
        ids.append(FIRST + int(token))
    assert len(found) == 12
    assert not ended


def test_one_seed_is_one_continuation_and_the_global_state_stays():
    lm = make_lm()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    one, other, again = (continue_tokens(lm, PROMPT, 20, Sampling(seed=s), may_end=False)[0] for s in (1, 2, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.dtype == np.int64
    assert (one >= 0).all()
    assert (one < SIZE).all()


def test_only_codes_are_drawn_whatever_the_model_prefers():
    """Rows beside the codes are e^9 times as likely as any code; only the end may be one of them."""
    lm = with_head(make_lm("qwen3_untied"), i0=9.0, i4=9.0, i55=9.0, i61=9.0)
    assert len(continue_tokens(lm, PROMPT, 30, Sampling(), may_end=False)[0]) == 30


def test_temperature_and_cuts_choose_among_the_codes():
    """Codes 0 to 3 are as likely as 8 : 4 : 2 : 1, with nothing else near; text rows would win every cut."""
    step = np.log(2)
    biases = {f"i{FIRST + code}": 20 - code * step for code in range(4)} | {"i0": 30.0, "i1": 30.0}
    lm = with_head(make_lm("qwen3_untied"), **biases)

    def kinds(**options):
        drawn = [continue_tokens(lm, PROMPT, 50, Sampling(seed=s, **options), may_end=False)[0] for s in range(6)]
        return np.bincount(np.concatenate(drawn), minlength=4)

    plain = kinds()
    assert (plain > 0).all()
    assert plain[:4].sum() == 300
    assert 120 < plain[0] < 200  # 160 expected
    assert np.flatnonzero(kinds(top_k=2)).tolist() == [0, 1]
    assert np.flatnonzero(kinds(top_p=0.75)).tolist() == [0, 1]
    assert np.flatnonzero(kinds(top_k=1)).tolist() == [0]
    assert kinds(temperature=0.25)[0] > 260  # 16 times as likely as the next
    assert np.flatnonzero(kinds(temperature=0)).tolist() == [0]


def test_the_model_may_end_the_clip():
    lm = with_head(make_lm("qwen3_untied"), **{f"i{EOS}": 60.0})
    tokens, ended = continue_tokens(lm, PROMPT, 8, Sampling())
    assert (len(tokens), ended) == (0, True)
    tokens, ended = continue_tokens(lm, PROMPT, 8, Sampling(), may_end=False)
    assert (len(tokens), ended) == (8, False)


def test_levels_take_turns_and_frames_stay_whole():
    """Two levels of 25 codes: even tokens are of the first, odd ones of the second, and an end is between frames."""
    source = make_source(25, levels=2)
    tokens, _ = continue_tokens(make_lm(source=source), PROMPT % 25 + [0, 25] * 3, 20, Sampling(), may_end=False)
    assert (tokens[::2] < 25).all()
    assert (tokens[1::2] >= 25).all()
    ends = 0
    for seed in range(8):
        lm = with_head(make_lm("qwen3_untied", source=source), **{f"i{EOS}": 2.0})
        tokens, ended = continue_tokens(lm, PROMPT % 25 + [0, 25] * 3, 20, Sampling(seed=seed))
        assert len(tokens) % 2 == 0
        ends += ended
    assert ends > 4
    with pytest.raises(ValueError, match="whole frames of 2"):
        continue_tokens(lm, PROMPT[:3], 20, Sampling())


def test_codes_and_tokens_of_levels():
    source = make_source(25, levels=2)
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    tokens = codes_to_tokens(codes, source)
    assert tokens.tolist() == [1, 29, 2, 30, 3, 31]
    assert tokens_to_codes(tokens, source).tolist() == codes.tolist()


def test_positions_and_prompts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at most 64 positions, but the prompt has 7 and 58"):
        continue_tokens(make_lm(), PROMPT, 58, Sampling())
    assert len(continue_tokens(make_lm(), PROMPT, 57, Sampling(), may_end=False)[0]) == 57
    assert len(continue_tokens(make_lm(), PROMPT[:0], 5, Sampling(), may_end=False)[0]) == 5
    with pytest.raises(ValueError, match="give it a prompt"):
        continue_tokens(make_lm(bos=None), PROMPT[:0], 5, Sampling())
    with pytest.raises(ValueError, match="token 50"):
        continue_tokens(make_lm(), np.array([50]), 5, Sampling())


@pytest.mark.parametrize(
    "field", [{"temperature": -1}, {"temperature": np.nan}, {"top_k": 0}, {"top_p": 0}, {"top_p": 2}]
)
def test_impossible_sampling_is_refused(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        Sampling(**field)


@pytest.fixture(params=[1, 2])
def codec(request):
    """Tiny codecs of one level and of two."""
    return LLMCodec.random(dataclasses.replace(CodecConfig.preset("tiny"), num_quantizers=request.param))


def test_audio_goes_on_from_the_prompts_whole_frames(codec, noise):
    """At 24 kHz, 0.15 s and a bit: 7.5 frames of 20 ms, of which 7 are whole."""
    lm = make_lm(source=TokenSource.of(codec))
    samples = noise(3_601).numpy()
    given = samples.copy()
    made = continue_audio(codec, lm, samples, 24_000, seconds=0.2, seed=3, may_end=False)
    assert (made.prompt_frames, made.prompt_samples, made.rate, made.ended) == (7, 7 * 480, 24_000, False)
    assert len(made.tokens) == 10 * codec.config.num_quantizers
    assert made.audio.shape == (17 * 480,)
    assert made.audio.dtype == np.float32
    assert np.isfinite(made.audio).all()
    assert np.array_equal(samples, given)
    source = TokenSource.of(codec)
    prompt = codec.encode(samples, 24_000).codes[0, :, :7]
    expected = codec.decode(torch.cat([prompt, tokens_to_codes(made.tokens, source)], dim=1), sampling_rate=24_000)
    assert np.array_equal(made.audio, expected)


def test_a_codec_of_other_tokens_is_refused(tiny_codec, noise):
    source = dataclasses.replace(TokenSource.of(tiny_codec), codec_hash="b" * 64)
    with pytest.raises(CodecMismatchError, match="trained on tokens of codec bbbbbbbbbbbb"):
        continue_audio(tiny_codec, make_lm(source=source), noise(3_200), 16_000, seconds=1)
    lm = make_lm(source=TokenSource.of(tiny_codec))
    with pytest.raises(ValueError, match="at least one frame"):
        continue_audio(tiny_codec, lm, noise(3_200), 16_000, seconds=0.001)
