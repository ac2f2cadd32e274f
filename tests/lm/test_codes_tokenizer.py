"""The tokenizer in the folder of a model that knows no text: read by AutoTokenizer, codes at their ids, small."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from token_lms import BOS, EOS, FIRST, SIZE, make_clips, make_lm, make_source
from transformers import AutoModelForCausalLM, AutoTokenizer

from soundcodec_llmcodec.lm.codes_tokenizer import write_tokenizer
from soundcodec_llmcodec.lm.loading import BUNDLED
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.lm.tokenizer import token_spec
from soundcodec_llmcodec.token_ids import token_text
from soundcodec_llmcodec.vocabulary import TokenSpec


@pytest.fixture
def saved(tmp_path):
    make_lm().save(tmp_path / "lm")
    return tmp_path / "lm"


def test_a_saved_model_has_a_tokenizer_with_the_codes_at_their_ids(saved):
    tokenizer = AutoTokenizer.from_pretrained(saved)
    assert token_spec(tokenizer) == TokenSpec(FIRST, SIZE)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.model_max_length) == (BOS, EOS, 64)
    assert tokenizer("<CODEC_3><CODEC_49> <CODEC_0>\n")["input_ids"] == [BOS, FIRST + 3, FIRST + 49, FIRST]
    assert tokenizer("<CODEC_3></s>", add_special_tokens=False)["input_ids"] == [FIRST + 3, EOS]
    assert tokenizer.decode([BOS, FIRST + 3, FIRST + 4], skip_special_tokens=True) == "<CODEC_3><CODEC_4>"


@pytest.mark.parametrize("text", ["hello", "<CODEC_50>", "<CODEC_1>and<CODEC_2>"])
def test_what_is_no_code_is_an_error_and_no_other_token(saved, text):
    with pytest.raises(Exception, match="UNK"):
        AutoTokenizer.from_pretrained(saved)(text)


def test_transformers_alone_gives_our_likelihoods(saved):
    lm = NeuralTokenLM.load(saved)
    (clip,) = make_clips(20)
    ids = AutoTokenizer.from_pretrained(saved)(token_text(clip), return_tensors="pt")["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(ids).logits[0, :-1].double()
    nats = -logits.log_softmax(-1)[torch.arange(20), ids[0, 1:]]
    assert lm.score([clip])[0].full_nll == pytest.approx(nats.numpy(), abs=1e-4)


def test_levels_are_counted_through(tmp_path):
    make_lm(source=make_source(levels=2)).save(tmp_path)
    assert token_spec(AutoTokenizer.from_pretrained(tmp_path)) == TokenSpec(FIRST, 2 * SIZE)


@pytest.mark.parametrize(("bos", "eos"), [(None, None), (None, 3), (3, 3), (2, None)])
def test_models_without_a_begin_or_an_end_have_none(saved, bos, eos):
    write_tokenizer(saved, TokenSpec(FIRST, SIZE), bos, eos)
    tokenizer = AutoTokenizer.from_pretrained(saved)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (bos, eos)
    begin = [] if bos is None else [bos]
    assert tokenizer("<CODEC_1>")["input_ids"] == [*begin, FIRST + 1]


def test_a_models_own_tokenizer_goes_where_it_is_saved_again(saved, tmp_path):
    config = saved / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "extra": "of another hand"}))
    NeuralTokenLM.load(saved).save(tmp_path / "again")
    assert "another hand" in (tmp_path / "again" / "tokenizer_config.json").read_text()
    assert (tmp_path / "again" / "tokenizer.json").read_bytes() == (saved / "tokenizer.json").read_bytes()


def test_the_bundled_models_tokenizer_is_the_one_that_a_save_writes(tmp_path):
    described = json.loads((BUNDLED / "token_lm.json").read_text())["model"]
    longest = json.loads((BUNDLED / "config.json").read_text())["max_position_embeddings"]
    spec = TokenSpec.from_dict(described["spec"])
    write_tokenizer(tmp_path, spec, described["bos_id"], described["eos_id"], longest)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (BUNDLED / name).read_bytes(), name
    assert (BUNDLED / "tokenizer.json").stat().st_size < 500_000
    shutil.copy(BUNDLED / "config.json", tmp_path)
    codes = np.array([0, 7, 20_479])
    found = AutoTokenizer.from_pretrained(tmp_path)(token_text(codes))["input_ids"]
    assert found == [described["bos_id"], *spec.ids(codes).tolist()]
