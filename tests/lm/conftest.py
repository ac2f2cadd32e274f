"""Language models of the kinds that matter: tied, untied, with and without BOS, spare rows and rotary positions."""

from __future__ import annotations

import pytest
from tiny_lms import SPARE, make_model, make_tokenizer


@pytest.fixture(params=["qwen3_tied", "qwen3_untied", "gpt2"])
def pair(request):
    """(model, tokenizer): Qwen3 with spare rows and no BOS, GPT-2 with BOS and as many rows as ids."""
    tokenizer = make_tokenizer("<|begin|>" if request.param == "gpt2" else None)
    rows = len(tokenizer) + (0 if request.param == "gpt2" else SPARE)
    return make_model(request.param, rows), tokenizer


@pytest.fixture
def folder(pair, tmp_path):
    """The same as a folder."""
    model, tokenizer = pair
    model.save_pretrained(tmp_path / "lm")
    tokenizer.save_pretrained(tmp_path / "lm")
    return tmp_path / "lm"
