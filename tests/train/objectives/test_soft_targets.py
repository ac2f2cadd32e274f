"""Against the encoder's choice, future-token prediction teaches the encoder to choose what is predicted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from objective_parts import CODEC, WIDTH, generator, quantized_noise, quantizer_of, tiny_codec
from torch.nn import functional
from toy_lm import ToyLM

from soundcodec_llmcodec.nn import chunked_sums
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.objectives.future_tokens import FutureTokenHeads
from soundcodec_llmcodec.train.objectives.language import LanguageInputs, LanguageObjectives
from soundcodec_llmcodec.train.objectives.language_config import LanguageConfig
from soundcodec_llmcodec.train.objectives.soft_targets import soft_targets


def parts_of(temperature: float = 0.05, heads: int = 3):
    """Heads on hidden states that know nothing of the codes, of a tiny codec's choice."""
    torch.manual_seed(0)
    model = tiny_codec()
    quantizer, quantized = quantizer_of(model), quantized_noise(model)
    made = FutureTokenHeads(WIDTH, CODEC.codebook_size, heads)
    codes = quantized.codes[:, 0]
    hidden = torch.randn(*codes.shape, WIDTH, generator=generator())
    return made, hidden, codes, quantized, quantizer, soft_targets(quantized, quantizer, temperature)


@pytest.mark.parametrize("elements", [512, 7 * 512, 10**9], ids=["row-by-row", "uneven", "at-once"])
def test_loss_and_gradients_are_those_of_the_formula(monkeypatch, elements):
    """Each head's target lies as many frames ahead as the codes' would; the first frame is nobody's target."""
    monkeypatch.setattr(chunked_sums, "CHUNK_ELEMENTS", elements)
    heads, hidden, codes, quantized, quantizer, soft = parts_of()
    frames = codes.shape[1]
    result = heads(hidden, codes, bos=False, soft=soft)
    learnt = (quantized.latents, *heads.rows)
    found = torch.autograd.grad(result.loss, learnt, retain_graph=True)
    q = (quantizer.similarities(quantized.latents[:, 0]) / 0.05).softmax(dim=-1)
    by_hand = 0
    for j, (weight, rows) in enumerate(zip(heads.weights, heads.rows, strict=True)):
        log_p = (hidden[:, : frames - 1 - j] @ rows.t()).log_softmax(dim=-1)
        by_hand = by_hand - weight * (q[:, 1 + j :] * log_p).sum(dim=-1).mean()
    torch.testing.assert_close(result.loss, by_hand)
    for got, wanted in zip(found, torch.autograd.grad(by_hand, learnt), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-7)
    to_latents = found[0][:, 0].abs().sum(dim=2)
    assert (to_latents[:, 0] == 0).all()
    assert (to_latents[:, 1:] > 0).all()


def test_a_sharp_choice_is_the_code():
    """Near temperature zero the loss is that against the codes; accuracy always is."""
    heads, hidden, codes, _, _, soft = parts_of(temperature=1e-5)
    hard, sharp = heads(hidden, codes, bos=False), heads(hidden, codes, bos=False, soft=soft)
    torch.testing.assert_close(sharp.per_head, hard.per_head, rtol=1e-4, atol=1e-4)
    wide = heads(hidden, codes, bos=False, soft=replace(soft, temperature=0.3))
    assert not torch.allclose(wide.per_head, hard.per_head, rtol=1e-3)
    assert torch.equal(wide.accuracy, hard.accuracy)


def test_a_step_along_the_gradient_makes_the_predicted_code_nearer():
    heads, hidden, codes, quantized, quantizer, soft = parts_of(heads=1)
    wanted = 7
    heads.rows[0].data.zero_()
    heads.rows[0].data[wanted] = 5 * functional.normalize(hidden[0, 3], dim=0)
    (gradient,) = torch.autograd.grad(heads(hidden, codes, bos=False, soft=soft).loss, quantized.latents)
    before = quantizer.similarities(quantized.latents[:, 0])[0, 4, wanted]
    after = quantizer.similarities((quantized.latents - 10 * gradient)[:, 0])[0, 4, wanted]
    assert after > before


@pytest.mark.parametrize(("targets", "reached"), [("codes", False), ("encoder", True)])
def test_the_encoder_learns_as_a_target_only_where_it_is_asked_to(targets, reached):
    """The bridge is detached: what reaches the latents comes by the targets."""
    config = LanguageConfig(targets=targets, future_heads=2)
    config = replace(config, bridge=replace(config.bridge, mode="detach"))
    model, lm = tiny_codec(), ToyLM()
    objectives = LanguageObjectives(config, CODEC, lm.start())
    quantized = quantized_noise(model)
    inputs = LanguageInputs(quantized, [None] * len(quantized.codes), 0)
    values = objectives(lm, quantizer_of(model), inputs, {"future_tokens": 1.0}, generator())
    wanted = (quantized.latents, quantizer_of(model).codebook)
    gradient, of_codebook = torch.autograd.grad(values["future_tokens"], wanted, allow_unused=True)
    assert (gradient is not None and bool(gradient.abs().sum() > 0)) == reached
    assert of_codebook is None


def test_impossible_targets_are_rejected():
    with pytest.raises(TrainConfigError, match="target_temperature must be above zero, got 0"):
        LanguageConfig(target_temperature=0)
