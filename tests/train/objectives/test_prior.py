"""The prior is causal, its loss reaches the encoder, and it makes codes cheaper."""

from __future__ import annotations

import math

import pytest
import torch
from objective_parts import (
    CODEC,
    encoder_gradient,
    generator,
    padded_noise,
    quantized_noise,
    quantizer_of,
    tiny_codec,
    untouched,
)
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn import chunked_sums
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.objectives.prior import CausalPrior, PriorConfig

SMALL = PriorConfig(layers=2, width=32, heads=2)


def prior_of(config: PriorConfig = SMALL) -> CausalPrior:
    torch.manual_seed(1)
    return CausalPrior(config, CODEC)


def test_a_code_changes_nothing_at_its_own_position_and_before():
    prior = prior_of(PriorConfig())
    vectors = functional.normalize(torch.randn(1, 12, CODEC.codebook_dim, generator=generator()), dim=-1)
    codebook = quantizer_of(tiny_codec()).codebook
    before = prior.log_probabilities(vectors, codebook)
    for changed in (0, 5, 10):
        other = vectors.clone()
        other[0, changed] *= -1
        difference = (prior.log_probabilities(other, codebook) - before)[0].abs().amax(dim=1)
        assert (difference[: changed + 1] == 0).all()
        assert (difference[changed + 1 :] > 1e-6).all()
    torch.testing.assert_close(before.exp().sum(dim=-1), torch.ones(1, 12))


@pytest.mark.parametrize("rows", ["free", "codebook"])
@pytest.mark.parametrize("context", [False, True])
def test_who_gets_gradients(context, rows):
    config = PriorConfig(layers=2, width=32, heads=2, context_gradient=context, rows=rows, row_hidden=16)
    model, prior = tiny_codec(), prior_of(config)
    prior(quantized_noise(model), quantizer_of(model)).loss.backward()
    assert encoder_gradient(model) > 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in prior.parameters())
    assert quantizer_of(model).codebook.grad is None
    assert untouched(model.token2wav)


def test_context_gradient_is_what_reaches_the_encoder_through_the_past():
    """The last frame's latents are nobody's past, the others' gradients change."""
    model = tiny_codec()
    found = []
    for context in (False, True):
        quantized = quantized_noise(model)
        prior = prior_of(PriorConfig(layers=2, width=32, heads=2, context_gradient=context))
        loss = prior(quantized, quantizer_of(model)).loss
        found.append(torch.autograd.grad(loss, quantized.latents)[0][:, 0])
    torch.testing.assert_close(found[0][:, -1], found[1][:, -1])
    assert ((found[0] - found[1]).abs().sum(dim=2)[:, :-1] > 0).all()


def test_a_uniform_prior_costs_the_whole_code():
    model, prior = tiny_codec(), prior_of()
    torch.nn.init.zeros_(prior.to_codes.weight)
    result = prior(quantized_noise(model), quantizer_of(model))
    assert float(result.nll_bits) == pytest.approx(9.0, abs=1e-4)
    assert float(result.loss.detach()) == pytest.approx(math.log(512), abs=1e-4)


@pytest.mark.parametrize("rows", ["free", "codebook"])
@pytest.mark.parametrize("elements", [512, 7 * 512, 10**9], ids=["row-by-row", "uneven", "at-once"])
def test_loss_and_gradients_are_those_of_the_formula(monkeypatch, elements, rows):
    monkeypatch.setattr(chunked_sums, "CHUNK_ELEMENTS", elements)
    model, prior = tiny_codec(), prior_of(PriorConfig(layers=2, width=32, heads=2, rows=rows, row_hidden=16))
    quantizer, quantized = quantizer_of(model), quantized_noise(model)
    result = prior(quantized, quantizer)
    head = prior.to_codes.weight if rows == "free" else prior.network.tables[0].weight
    learnt = (quantized.latents, head, prior.start)
    found = torch.autograd.grad(result.loss, learnt, retain_graph=True)
    vectors = functional.normalize(quantizer.codebook, dim=-1)[quantized.codes[:, 0]].detach()
    log_p = prior.log_probabilities(vectors, quantizer.codebook)
    q = (quantizer.similarities(quantized.latents[:, 0]) / SMALL.temperature).softmax(dim=-1)
    by_hand = -(q * log_p).sum(dim=-1).mean()
    torch.testing.assert_close(result.loss, by_hand, rtol=1e-5, atol=1e-5)
    bits = -log_p.gather(2, quantized.codes[:, 0, :, None]).mean() / math.log(2)
    torch.testing.assert_close(result.nll_bits, bits.detach(), rtol=1e-5, atol=1e-5)
    for got, wanted in zip(found, torch.autograd.grad(by_hand, learnt), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-6)


def test_rows_of_the_codebook_tell_of_codes_that_were_never_seen():
    """Tokens that stay among codes of one kind; of these, every second code is kept for the test."""
    codebook = quantizer_of(tiny_codec()).codebook.detach()
    directions = functional.normalize(codebook, dim=-1)
    near = directions[:, 0].argsort()[-100:]
    drawn = torch.randint(0, 50, (12, 40), generator=generator())
    seen, unseen = near[2 * drawn], near[2 * drawn + 1]
    bits = {}
    for rows in ("free", "codebook"):
        prior = prior_of(PriorConfig(layers=1, width=32, heads=2, rows=rows, row_hidden=32))
        optimizer = torch.optim.AdamW(prior.parameters(), lr=3e-3)
        for _ in range(40):
            log_p = prior.log_probabilities(directions[seen], codebook)
            optimizer.zero_grad()
            functional.nll_loss(log_p.flatten(0, 1), seen.flatten()).backward()
            optimizer.step()
        with torch.no_grad():
            log_p = prior.log_probabilities(directions[unseen], codebook)
            bits[rows] = float(functional.nll_loss(log_p.flatten(0, 1), unseen.flatten())) / math.log(2)
    assert bits["free"] > 9.0  # an even guess over all 512 codes
    assert bits["codebook"] < 8.5


def test_frames_outside_the_mask_do_not_count():
    model, prior = tiny_codec(), prior_of()
    quantized = quantized_noise(model, frames=12)
    mask = torch.tensor([[True] * 12, [False] * 12])
    result = prior(quantized, quantizer_of(model), mask)
    alone = torch.autograd.grad(result.loss, quantized.latents, retain_graph=True)[0]
    assert alone[1].abs().sum() == 0
    both, second = (prior(quantized, quantizer_of(model), m) for m in (None, ~mask))
    torch.testing.assert_close(both.loss, (result.loss + second.loss) / 2)


def test_bits_fall_for_a_fixed_codec_and_the_loss_for_both():
    """Alone, the prior learns a fixed batch; with the encoder at work too, the same steps bring more."""
    bits = {}
    for together in (False, True):
        model, prior = tiny_codec(), prior_of()
        padded = padded_noise(frames=30)
        groups = [*prior.parameters(), *(model.tokenizer.parameters() if together else ())]
        optimizer = torch.optim.Adam(groups, 2e-3)
        results = []
        for _ in range(25):
            result = prior(model.tokenizer(padded, None, 0, CODEC.codebook_size), quantizer_of(model))
            optimizer.zero_grad()
            result.loss.backward()
            optimizer.step()
            results.append((float(result.loss.detach()), float(result.nll_bits)))
        assert results[-1][0] < 0.8 * results[0][0]
        assert results[-1][1] < results[0][1] - 1
        bits[together] = results[-1][1]
    assert bits[True] < bits[False]


def test_impossible_priors_are_rejected():
    for values in ({"width": 30}, {"temperature": 0.0}, {"layers": 0}):
        with pytest.raises(TrainConfigError, match=next(iter(values))):
            PriorConfig(**values)
    residual = CodecConfig.from_dict({**CODEC.to_dict(), "num_quantizers": 2})
    with pytest.raises(TrainConfigError, match="one codebook"):
        CausalPrior(SMALL, residual)
