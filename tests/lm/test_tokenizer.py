"""Text with codes in it, there and back, through files and through generation."""

from __future__ import annotations

import pytest
import torch
from tiny_lms import LINES, make_tokenizer
from tokenizers import AddedToken
from transformers import AutoTokenizer

from soundcodec_llmcodec.lm.extend import extend_lm
from soundcodec_llmcodec.lm.generation import CodesOnly
from soundcodec_llmcodec.lm.tokenizer import extend_tokenizer, token_spec
from soundcodec_llmcodec.token_ids import parse_codes, token_text
from soundcodec_llmcodec.vocabulary import TokenSpec

V = 20_480


@pytest.fixture(scope="module")
def extended():
    return extend_tokenizer(make_tokenizer(), V)


def test_text_of_codes_goes_there_and_back(extended, tmp_path):
    tokenizer, spec = extended
    codes = torch.randint(0, V, (10_000,), generator=torch.Generator().manual_seed(0))
    text = token_text(codes.tolist())
    tokenizer.save_pretrained(tmp_path)
    for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        ids = one(text, add_special_tokens=False)["input_ids"]
        assert ids == spec.ids(codes).tolist()
        assert one.decode(ids) == text
        assert torch.equal(parse_codes(one.decode(ids, skip_special_tokens=True), V)[0], codes)
        assert token_spec(one) == spec


def test_text_without_codes_is_split_as_before(extended):
    plain = make_tokenizer()
    for text in [*LINES, "<CODEC_", "<CODEC_20480>", "<codec_1>", "<CODEC_01>", " <CODEC_-1>", "CODEC_5>"]:
        ids = extended[0](text)["input_ids"]
        assert ids == plain(text)["input_ids"]
        assert not any(extended[1].is_code(ids))


def test_codes_between_words_keep_the_words(extended):
    tokenizer, spec = extended
    ids = tokenizer("the cat<CODEC_12> sat")["input_ids"]
    inside = spec.is_code(ids)
    assert spec.codes([i for i, code in zip(ids, inside, strict=True) if code]) == [12]
    assert tokenizer.decode(ids) == "the cat<CODEC_12> sat"


def test_what_was_given_is_not_extended_and_what_is_extended_is_kept():
    plain = make_tokenizer()
    known = len(plain)
    tokenizer, spec = extend_tokenizer(plain, 50)
    assert (len(plain), len(tokenizer), spec) == (known, known + 50, TokenSpec(known, 50))
    assert extend_tokenizer(tokenizer, 50) == (tokenizer, spec)


def test_half_extended_tokenizers_are_refused():
    with pytest.raises(ValueError, match="no <CODEC_0>"):
        token_spec(make_tokenizer())
    late = make_tokenizer()
    late.add_tokens([AddedToken("<CODEC_3>", normalized=False)])
    with pytest.raises(ValueError, match="expected <CODEC_3> to be id"):
        extend_tokenizer(late, 10)
    short = extend_tokenizer(make_tokenizer(), 10)[0]
    with pytest.raises(ValueError, match="10 <CODEC_i> tokens, expected 11"):
        extend_tokenizer(short, 11)


def test_generation_is_held_to_codes(pair):
    extended = extend_lm(*pair, 64)
    text = extended.tokenizer("the cat", return_tensors="pt")["input_ids"]
    prompt = torch.cat((text, extended.spec.ids(torch.tensor([[1, 2]]))), dim=1)
    end = extended.tokenizer.eos_token_id
    processors = [CodesOnly(extended.spec)]
    kwargs = {"max_new_tokens": 10, "pad_token_id": end, "eos_token_id": end}
    torch.manual_seed(0)
    made = extended.model.generate(prompt, logits_processor=processors, do_sample=True, **kwargs)
    new = made[:, prompt.shape[1] :]
    assert new.shape == (1, 10)
    assert extended.spec.is_code(new).all()


def test_other_scores_are_minus_infinity_and_given_ones_untouched():
    spec = TokenSpec(4, 3)
    scores = torch.arange(20.0).reshape(2, 10)
    given = scores.clone()
    allowed = CodesOnly(spec, also=[1])(torch.zeros(2, 1, dtype=torch.long), scores)
    assert torch.equal(scores, given)
    assert torch.equal(allowed.isfinite().nonzero()[:, 1].reshape(2, 4), torch.tensor([[1, 4, 5, 6]] * 2))
    assert torch.equal(allowed[:, [1, 4, 5, 6]], scores[:, [1, 4, 5, 6]])
