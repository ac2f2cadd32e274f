"""Rows from the codec's code vectors: shared at first, free in time, ordinary on export."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from soundcodec_llmcodec.lm.training.embedding_rows import ROW_DEVIATION, CodebookRows, codebook_of, stacked
from soundcodec_llmcodec.lm.training.lm_config import RowsConfig, make_config
from soundcodec_llmcodec.lm.training.network_building import build, finished
from soundcodec_llmcodec.runs.errors import TrainConfigError


def test_the_codebook_is_the_codecs_unit_vectors(codec_folder, source, tiny_codec):
    found = codebook_of(str(codec_folder), source)
    vectors = tiny_codec.model.tokenizer.vq.levels[0].codebook
    assert found.shape == (source.vocabulary_size, vectors.shape[1])
    torch.testing.assert_close(found, vectors / vectors.norm(dim=1, keepdim=True))


def test_another_codec_is_rejected(codec_folder, source):
    with pytest.raises(TrainConfigError, match="--codec"):
        codebook_of(str(codec_folder), dataclasses.replace(source, codec_hash="1" * 64))


def test_levels_are_told_apart():
    one = torch.randn(5, 3)
    both = stacked([one, one])
    assert both.shape == (10, 5)
    assert torch.equal(both[:5, :3], both[5:, :3])
    assert not torch.equal(both[:5], both[5:])


@pytest.mark.parametrize("frequencies", [0, 16])
def test_near_codes_begin_with_near_rows_and_may_part(frequencies):
    draws = torch.Generator().manual_seed(0)
    codebook = torch.nn.functional.normalize(torch.randn(100, 8, generator=draws), dim=1)
    codebook[1] = codebook[0]
    rows = CodebookRows(codebook, 12, RowsConfig(kind="codebook", hidden=32, frequencies=frequencies))
    made = rows()
    assert made.shape == (100, 12)
    assert float(made.std()) == pytest.approx(ROW_DEVIATION, rel=0.2)
    assert torch.equal(made[0], made[1])
    made[0].sum().backward()
    assert rows.residual.grad[0].abs().sum() > 0
    assert rows.residual.grad[1:].abs().sum() == 0
    assert rows.last.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["free", "codebook"])
def test_an_exported_model_gives_what_the_network_gave(codec_folder, source, kind, tied):
    scratch = {"layers": 1, "width": 16, "heads": 2, "tied": tied, "rows": {"kind": kind}, "dropout": 0.2}
    config = make_config({"codec": str(codec_folder), "scratch": scratch})
    network = build(config, source).eval()
    ids = torch.tensor([[network.layout.bos_id, 3, 500, 7, network.layout.eos_id]])
    with torch.no_grad():
        entering, leaving, _ = network.tables()
        states = network.lm.base_model(inputs_embeds=entering[ids]).last_hidden_state
        expected = states @ leaving.t()
        assert torch.equal(entering, leaving) == tied
        done = finished(network, config)
        found = done.model(input_ids=ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert done.model.config.vocab_size == source.vocabulary_size + 2 == found.shape[-1]
    assert (done.model.lm_head.weight is done.model.get_input_embeddings().weight) == tied


def test_the_same_seed_draws_the_same_network_and_leaves_the_random_state(source):
    config = make_config({"scratch": {"layers": 1, "width": 16, "heads": 2}, "seed": 4})
    torch.manual_seed(0)
    first = build(config, source).trained()
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))
    second = build(config, source).trained()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build(dataclasses.replace(config, seed=5), source).trained()
    assert not torch.equal(first["lm.model.embed_tokens.weight"], other["lm.model.embed_tokens.weight"])
