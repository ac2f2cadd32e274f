"""The bridge: exact rows forward, gradients to the encoder backward, and the quantizer's own codes."""

from __future__ import annotations

import math

import pytest
import torch
from objective_parts import (
    CODEC,
    embeddings,
    encoder_gradient,
    frozen_lm,
    generator,
    hidden_states,
    quantized_noise,
    quantizer_of,
    tiny_codec,
    untouched,
)

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.quantizer import Quantized
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.objectives.bridge import LOGITS, MODES, Bridge, BridgeConfig, code_similarities


def bridged(model, quantized, mode="gumbel", logits="codebook", step=0, rows=None, seed=0, mask=None, **options):
    torch.manual_seed(1)
    bridge = Bridge(BridgeConfig(mode=mode, logits=logits, **options), CODEC)
    rows = embeddings() if rows is None else rows
    return bridge, bridge(quantized, quantizer_of(model), rows, step, generator(seed, step), mask)


def synthetic(codes, latents=None) -> Quantized:
    zero = torch.zeros(())
    latents = torch.zeros(*codes.shape, CODEC.codebook_dim) if latents is None else latents
    features = torch.zeros(*codes.shape, CODEC.hidden_size)
    return Quantized(features, codes[:, None], latents[:, None], None, zero, zero)


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("through", ["inputs", "cross_entropy"])
def test_who_gets_gradients(mode, logits, through):
    model, lm, rows = tiny_codec(), frozen_lm(), embeddings()
    bridge, result = bridged(model, quantized_noise(model), mode, logits, rows=rows)
    # Backward from the inputs goes through the frozen LM, as in training.
    loss = hidden_states(lm, result.inputs)[-1].square().mean() if through == "inputs" else result.cross_entropy
    if loss.requires_grad:
        loss.backward()
    assert (encoder_gradient(model) > 0) == (mode != "detach")
    assert quantizer_of(model).codebook.grad is None
    assert untouched(lm)
    assert untouched(model.token2wav)
    assert (rows.grad is not None) == (through == "inputs")
    if logits == "linear":
        expected = through == "cross_entropy" or mode != "detach"
        assert (bridge.linear.weight.grad is not None) == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("logits", LOGITS)
def test_inputs_are_rows_of_the_embeddings_exactly(mode, logits):
    model, rows = tiny_codec(), embeddings()
    _, result = bridged(model, quantized_noise(model), mode, logits, rows=rows)
    same = (result.inputs.flatten(0, 1)[:, None] == rows).all(dim=2)
    assert same.sum(dim=1).eq(1).all()
    tokens = same.int().argmax(dim=1).view(result.inputs.shape[:2])
    codes = quantized_noise(model).codes[:, 0]
    assert float(result.agreement) == pytest.approx(float((tokens == codes).float().mean()))
    if mode == "straight_through":
        assert torch.equal(tokens, result.logits.argmax(dim=-1))
    if mode == "detach":
        assert torch.equal(tokens, codes)


def test_codebook_logits_choose_the_quantizers_codes_also_after_training():
    model = tiny_codec()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(4):
        quantized = quantized_noise(model, frames=40, seed=step)
        _, result = bridged(model, quantized, "gumbel", step=step)
        assert torch.equal(result.logits.argmax(dim=-1), quantized.codes[:, 0])
        _, plain = bridged(model, quantized, "straight_through", step=step)
        assert float(plain.agreement) == 1
        optimizer.zero_grad()
        (result.inputs.square().mean() + result.cross_entropy + quantized.codebook_loss).backward()
        optimizer.step()


def test_ties_and_near_ties_are_resolved_as_in_the_quantizer():
    """Codes twice in the codebook, and codes that differ in their last bits, where other rounding would turn round."""
    model = tiny_codec()
    quantizer = quantizer_of(model)
    with torch.no_grad():
        half = CODEC.codebook_size // 2
        quantizer.codebook[half:] = quantizer.codebook[:half].flip(0)
        quantizer.codebook[half:-20] *= 1 + 2.0**-22 * torch.randint(0, 8, (half - 20, 1), generator=generator())
    quantized = quantized_noise(model, frames=300)
    for scale in (1.0, 128.0):
        _, result = bridged(model, quantized, "straight_through", scale=scale)
        assert torch.equal(result.logits.argmax(dim=-1), quantized.codes[:, 0])
    with torch.autocast("cpu", torch.bfloat16):
        _, cast = bridged(model, quantized, "straight_through")
    assert torch.equal(cast.logits.argmax(dim=-1), quantized.codes[:, 0])


def test_similarities_have_the_gradient_of_plain_cosines():
    model = tiny_codec()
    quantizer = quantizer_of(model)
    weights = torch.randn(2, 5, CODEC.codebook_size, generator=generator())
    latents = torch.randn(2, 5, CODEC.codebook_dim, generator=generator(1)).requires_grad_()
    (code_similarities(latents, quantizer) * weights).sum().backward()
    found, latents.grad = latents.grad, None
    (quantizer.similarities(latents) * weights).sum().backward()
    torch.testing.assert_close(found, latents.grad)


def test_the_backward_pass_is_that_of_hard_gumbel_softmax():
    """Against the definition: one-hot forward, softmax((logits + g) / t) backward."""
    model, rows = tiny_codec(), embeddings()
    upstream = torch.randn(2, 20, rows.shape[1], generator=generator(3))
    quantized = quantized_noise(model)
    latents = quantized.latents
    _, result = bridged(
        model, quantized, rows=rows, scale=32.0, temperature=0.7, temperature_steps=0, final_temperature=0.7
    )
    wanted_latents, wanted_rows = torch.autograd.grad((result.inputs * upstream).sum(), (latents, rows))
    uniform = torch.rand(result.logits.shape, generator=generator(0, 0)).double() + 2.0**-25
    drawn = 32 * quantizer_of(model).similarities(latents[:, 0]) - torch.log(-uniform.log()).float()
    soft = (drawn / 0.7).softmax(dim=-1)
    hard = torch.nn.functional.one_hot(drawn.argmax(dim=-1), soft.shape[-1]) + soft - soft.detach()
    (by_hand, by_hand_rows) = torch.autograd.grad(((hard @ rows) * upstream).sum(), (latents, rows))
    torch.testing.assert_close(wanted_latents, by_hand, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(wanted_rows, by_hand_rows, rtol=1e-3, atol=1e-4)


def test_tokens_are_drawn_with_the_softmax_of_the_logits():
    """10,000 draws of one frame: the share of each code is its probability (untempered, as Gumbel's arg-max is)."""
    model = tiny_codec()
    latents = torch.randn(1, 1, CODEC.codebook_dim, generator=generator(5)).expand(1, 10_000, -1)
    rows = torch.eye(CODEC.codebook_size)
    _, result = bridged(model, synthetic(torch.zeros(1, 10_000, dtype=torch.int64), latents), rows=rows, scale=4.0)
    wanted = result.logits[0, 0].softmax(dim=0)
    assert float((result.inputs[0].mean(dim=0) - wanted).abs().sum()) < 0.3
    best = int(wanted.argmax())
    deviation = math.sqrt(float(wanted[best]) / 10_000)
    assert abs(float(result.inputs[0, :, best].mean() - wanted[best])) < 4 * deviation


def test_a_sample_follows_from_seed_and_step():
    model = tiny_codec()
    quantized = quantized_noise(model)
    draws = [
        bridged(model, quantized, step=s, seed=seed, scale=4.0)[1].inputs
        for seed, s in ((0, 3), (0, 3), (0, 4), (1, 3))
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])


def test_temperature_by_hand():
    config = BridgeConfig(temperature=1.0, final_temperature=0.3, temperature_steps=20_000)
    wanted = {0: 1.0, 5_000: 0.3 + 0.35 * (1 + math.sqrt(0.5)), 10_000: 0.65, 20_000: 0.3, 90_000: 0.3}
    for step, temperature in wanted.items():
        assert config.temperature_at(step) == pytest.approx(temperature, abs=1e-12)
    assert BridgeConfig(temperature_steps=0).temperature_at(0) == 0.3


def test_cross_entropy_and_agreement_by_hand():
    """A linear layer of zeros with one bias: logits ln 3 for code 7 and 0 for 511 others, so 7 costs ln(514 / 3)."""
    model = tiny_codec()
    bridge = Bridge(BridgeConfig(mode="straight_through"), CODEC)
    torch.nn.init.zeros_(bridge.linear.weight)
    torch.nn.init.zeros_(bridge.linear.bias)
    bridge.linear.bias.data[7] = math.log(3)
    codes = torch.tensor([[7, 7, 9, 9]])
    call = (synthetic(codes), quantizer_of(model), embeddings(), 0, generator())
    result = bridge(*call)
    rare, common = math.log(514), math.log(514 / 3)
    assert float(result.cross_entropy.detach()) == pytest.approx((rare + common) / 2, abs=1e-5)
    assert float(result.agreement) == 0.5
    masked = bridge(*call, frame_mask=torch.tensor([[True, True, True, False]]))
    assert float(masked.cross_entropy.detach()) == pytest.approx((rare + 2 * common) / 3, abs=1e-5)
    assert float(masked.agreement) == pytest.approx(2 / 3)


def test_what_cannot_be_bridged_is_rejected():
    for values in ({"mode": "soft"}, {"logits": "mlp"}, {"temperature": 0.0}, {"scale": 30.0}, {"scale": -2.0}):
        with pytest.raises(TrainConfigError, match=str(next(iter(values)))):
            BridgeConfig(**values)
    residual = CodecConfig.from_dict({**CODEC.to_dict(), "num_quantizers": 2})
    with pytest.raises(TrainConfigError, match="one codebook"):
        Bridge(BridgeConfig(), residual)
    model = tiny_codec()
    with pytest.raises(ValueError, match="100 audio embeddings for 512 codes"):
        bridged(model, quantized_noise(model), rows=torch.zeros(100, 8))
