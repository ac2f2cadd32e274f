"""The codes' rows as a network of the codebook."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from objective_parts import CODEC, WIDTH, generator, quantized_noise, quantizer_of, tiny_codec
from toy_lm import ToyLM
from train_runs import tensors_of, trainer

from soundcodec_llmcodec.nn.code_embeddings import CodeRows
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.objectives.language import LanguageInputs, LanguageObjectives
from soundcodec_llmcodec.train.objectives.language_config import LanguageConfig

V = CODEC.codebook_size
WEIGHTS = {"future_tokens": 1.0}


def rows_of(start: torch.Tensor, tables: int = 2) -> CodeRows:
    torch.manual_seed(0)
    return CodeRows(CODEC.codebook_dim, 64, [start] * tables)


def test_tables_begin_where_the_language_model_would_have_them():
    """Around the mean of the start rows and as spread as they are: the LLM reads what looks like its own words."""
    start = 0.3 + 0.05 * torch.randn(V, WIDTH, generator=generator())
    codebook = torch.randn(V, CODEC.codebook_dim, generator=generator(1))
    with torch.no_grad():
        tables = rows_of(start)(codebook)
    assert [tuple(table.shape) for table in tables] == [(V, WIDTH)] * 2
    for table in tables:
        torch.testing.assert_close(table.mean(dim=0), start.mean(dim=0), atol=0.02, rtol=0)
        assert 0.6 < float((table - table.mean(dim=0)).std() / (start - start.mean(dim=0)).std()) < 1.5
    assert not torch.equal(*tables)


def test_a_code_tells_its_neighbours_and_only_directions_count():
    """What one code's row learns moves that of a code beside it, and hardly that of one on the other side."""
    rows = rows_of(torch.randn(V, WIDTH, generator=generator()))
    codebook = torch.randn(V, CODEC.codebook_dim, generator=generator(1))
    codebook[1], codebook[2] = codebook[0] + 0.01, -codebook[0]
    before = [table.detach().clone() for table in rows(codebook)]
    torch.testing.assert_close(rows(3 * codebook)[0], before[0])
    loss = (rows(codebook)[0][0] - 1).square().sum()
    loss.backward()
    with torch.no_grad():
        for parameter in rows.parameters():
            if parameter.grad is not None:
                parameter -= 1e-4 * parameter.grad
    moved = (rows(codebook)[0] - before[0]).norm(dim=1)
    assert moved[1] > 0.8 * moved[0] > 0
    assert moved[2] < 0.8 * moved[0]


@pytest.mark.parametrize("rows", ["free", "codebook"])
def test_only_the_first_clips_of_a_piece_are_read(rows):
    """With a share of a half, the other half of the clips gets no gradient and changes no loss."""
    lm, model = ToyLM(), tiny_codec()
    config = dataclasses.replace(LanguageConfig(rows=rows, share=0.5, future_heads=2), row_hidden=16)
    torch.manual_seed(0)
    objectives = LanguageObjectives(config, CODEC, lm.start())
    quantized = quantized_noise(model, batch=4)
    quantized.latents.retain_grad()
    quantized.features.retain_grad()
    inputs = LanguageInputs(quantized, (None,) * 4, 0)
    found = objectives(lm, quantizer_of(model), inputs, WEIGHTS, generator())
    found["future_tokens"].backward()
    touched = quantized.features.grad.abs().sum(dim=(1, 2)) > 0
    assert touched.tolist() == [True, True, False, False]
    alone = LanguageInputs(quantized.rows(2), (None,) * 2, 0)
    whole = LanguageObjectives(dataclasses.replace(config, share=1.0), CODEC, lm.start())
    whole.load_state_dict(objectives.state_dict())
    again = whole(lm, quantizer_of(model), alone, WEIGHTS, generator())
    torch.testing.assert_close(again["future_tokens"], found["future_tokens"])


def test_a_network_of_rows_learns_and_takes_no_gradient_to_the_codebook():
    lm, model = ToyLM(), tiny_codec()
    config = LanguageConfig(rows="codebook", row_hidden=16, future_heads=2)
    objectives = LanguageObjectives(config, CODEC, lm.start())
    quantized = quantized_noise(model)
    found = objectives(lm, quantizer_of(model), LanguageInputs(quantized, (None, None), 0), WEIGHTS, generator())
    found["future_tokens"].backward()
    network = objectives.network
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    assert quantizer_of(model).codebook.grad is None
    assert not any(name.startswith(("audio_embeddings", "heads.")) for name, _ in objectives.named_parameters())


@pytest.mark.parametrize("values", [{"share": 0.0}, {"share": 1.5}, {"row_hidden": 0}])
def test_shares_and_sizes_that_mean_nothing_are_rejected(values):
    with pytest.raises(TrainConfigError, match=next(iter(values))):
        LanguageConfig(**values)


def test_texts_of_clips_that_are_not_read_do_not_count(everything, tmp_path):
    """`texts_watched` counts those that the LLM saw, so that a mean over texts is one over these."""
    language = dataclasses.replace(everything.language, share=0.25)
    run = trainer(everything, tmp_path, language=language, batch_size=8, accumulation=1)
    batch = run.batch(3)
    with_text = [text is not None for text in batch.texts]
    run.state.step = 3
    watched = float(run.step().values["texts_watched"])
    assert watched == sum(with_text[:2])
    assert sum(with_text[:2]) < sum(with_text)


def test_training_the_decoder_alone_leaves_every_token_as_it_is(tiny_config, tmp_path):
    run = trainer(tiny_config, tmp_path, trains="decoder", noise=dataclasses.replace(tiny_config.noise, share=0.0))
    before = {name: tensor.clone() for name, tensor in tensors_of(run.state).items()}
    for _ in range(3):
        result = run.step()
    after = tensors_of(run.state)
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert not any("tokenizer" in name for name in changed)
    assert any("token2wav" in name for name in changed)
    assert result.values["gradient/encoder"] == 0
    assert result.values["gradient/quantizer"] == 0


def test_losses_on_tokens_are_rejected_where_tokens_stay(everything):
    with pytest.raises(TrainConfigError, match="nothing to change"):
        dataclasses.replace(everything, trains="decoder")
    losses = {name: loss for name, loss in everything.losses.items() if name in ("log_mel", "commitment")}
    with pytest.raises(TrainConfigError, match=r"revival\.every=0"):
        dataclasses.replace(everything, trains="decoder", losses=losses)
