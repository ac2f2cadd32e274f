"""Which optimizer has what, whose gradients are clipped together, and rates that do not follow the run's length."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
from train_runs import tensors_of, trainer

from soundcodec_llmcodec.runs.checkpoint_folders import FACTS
from soundcodec_llmcodec.runs.config_files import parse_override
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.train.train_config import make_config

# Keys that checkpoints had not before there was a published recipe: (section, key).
NEW_KEYS = [((), name) for name in ("draw", "padding", "random_polarity", "codec_start", "clip_apart")]
NEW_KEYS += [(("adversary",), name) for name in ("r1_lazy", "reduction", "feature_error", "precision")]
NEW_KEYS += [(("adversary", "discriminators"), "design"), (("language", "bridge"), "optimizer")]
NEW_KEYS += [((section,), "horizon") for section in ("optimizer", "prior_optimizer")]
NEW_KEYS += [((section, "optimizer"), "horizon") for section in ("adversary", "language")]


def with_bridge(config, where: str, /, **changes):
    bridge = dataclasses.replace(config.language.bridge, logits="linear", optimizer=where)
    return dataclasses.replace(config, language=dataclasses.replace(config.language, bridge=bridge), **changes)


def ids(parameters) -> set[int]:
    return {id(parameter) for parameter in parameters}


def held(optimizer: torch.optim.Optimizer) -> set[int]:
    return ids(parameter for group in optimizer.param_groups for parameter in group["params"])


def norm(parameters) -> float:
    return math.sqrt(sum(float(p.grad.square().sum()) for p in parameters if p.grad is not None))


@pytest.mark.parametrize("optimizer", ["language", "codec"])
def test_every_parameter_is_in_one_optimizer_and_the_bridge_where_it_is_said(everything, tmp_path, optimizer):
    state = trainer(with_bridge(everything, optimizer), tmp_path).state
    codec, language = held(state.optimizer), held(state.others["language"].optimizer)
    bridge = ids(state.language.bridge.parameters())
    assert len(bridge) == 2
    assert codec & language == set()
    assert codec | language == ids(state.model.parameters()) | ids(state.language.parameters())
    assert bridge <= (codec if optimizer == "codec" else language)


def test_a_bridge_in_the_codecs_sgd_takes_its_steps(everything, tmp_path):
    """w - rate * (gradient + decay * w), by hand; the first step has no momentum yet."""
    rates = dataclasses.replace(
        everything.optimizer,
        kind="sgd",
        learning_rate=0.5,
        final_learning_rate=0.5,
        warmup=0,
        weight_decay=0.1,
        gradient_clip=None,
    )
    run = trainer(with_bridge(everything, "codec", optimizer=rates), tmp_path)
    layer = run.state.language.bridge.linear
    before = layer.weight.detach().clone(), layer.bias.detach().clone()
    run.step()
    torch.testing.assert_close(layer.weight, before[0] - 0.5 * (layer.weight.grad + 0.1 * before[0]))
    torch.testing.assert_close(layer.bias, before[1] - 0.5 * layer.bias.grad)  # biases do not decay


def test_encoder_and_decoder_are_clipped_apart_the_bridge_with_the_encoder_and_discriminators_not(everything, tmp_path):
    """Each group has a norm of its own at the limit; together they would have it only once."""
    limit = 1e-3
    rates = dataclasses.replace(everything.optimizer, gradient_clip=limit)
    free = dataclasses.replace(everything.adversary.optimizer, gradient_clip=None)
    losses = {name: dataclasses.replace(loss, start=0, ramp=0) for name, loss in everything.losses.items()}
    config = with_bridge(
        everything,
        "codec",
        optimizer=rates,
        clip_apart=True,
        losses=losses,
        adversary=dataclasses.replace(everything.adversary, optimizer=free, reduction="sum"),
    )
    language = dataclasses.replace(config.language.optimizer, gradient_clip=2 * limit)
    config = dataclasses.replace(config, language=dataclasses.replace(config.language, optimizer=language))
    run = trainer(config, tmp_path)
    values = run.step().values
    model, parts = run.state.model, run.state.language
    encoder = [*model.tokenizer.parameters(), *parts.bridge.parameters()]
    bridge = ids(parts.bridge.parameters())
    others = [parameter for parameter in parts.parameters() if id(parameter) not in bridge]
    assert norm(encoder) == pytest.approx(limit, rel=1e-3)
    assert norm(model.token2wav.parameters()) == pytest.approx(limit, rel=1e-3)
    assert norm(others) == pytest.approx(2 * limit, rel=1e-3)
    discriminators = norm(run.state.others["discriminators"].module.parameters())
    assert discriminators == pytest.approx(float(values["gradient/discriminators"]), rel=1e-5)
    assert discriminators > 1.0  # the default limit


@pytest.mark.parametrize("optimizer", ["language", "codec"])
def test_an_optimizers_gradients_are_clipped_together_otherwise(everything, tmp_path, optimizer):
    limit = 1e-3
    rates = dataclasses.replace(everything.optimizer, gradient_clip=limit)
    run = trainer(with_bridge(everything, optimizer, optimizer=rates), tmp_path)
    run.step()
    bridge = run.state.language.bridge.parameters()
    together = [*run.state.model.parameters(), *(bridge if optimizer == "codec" else ())]
    assert norm(together) == pytest.approx(limit, rel=1e-3)


def test_rates_with_a_horizon_do_not_follow_the_runs_length():
    rates = OptimizerConfig(learning_rate=1.0, final_learning_rate=0.0, warmup=20, horizon=220)
    for steps in (50, 120, 5_000):
        assert [rates.rate_at(step, steps) for step in (0, 9, 20, 120, 220, 400)] == pytest.approx(
            [0.05, 0.5, 1.0, 0.5, 0.0, 0.0]
        )
    short = dataclasses.replace(rates, horizon=None)
    assert [short.rate_at(70, steps) for steps in (120, 220)] == pytest.approx([0.5, 0.5 * (1 + math.cos(math.pi / 4))])
    share = OptimizerConfig(learning_rate=1.0, final_learning_rate=0.0, warmup=0.1, horizon=50)
    assert share.rate_at(0, 100) == pytest.approx(0.1)  # a tenth of the run, not of the horizon


def test_a_run_sets_the_rates_of_its_horizon(tiny_config, tmp_path):
    rates = dataclasses.replace(tiny_config.optimizer, learning_rate=1e-3, final_learning_rate=0.0, warmup=2, horizon=6)
    run = trainer(tiny_config, tmp_path, optimizer=rates, steps=100)
    seen = []
    for _ in range(5):
        run.step()
        seen.append(run.state.optimizer.param_groups[0]["lr"])
    half = 0.5e-3
    assert seen == pytest.approx([half, 1e-3, 1e-3, half * (1 + math.cos(math.pi / 4)), half])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.horizon=0", "horizon must lie after the 0 steps of warm-up, got 0"),
        ("optimizer={warmup: 20, horizon: 20}", "horizon must lie after the 20 steps of warm-up"),
        ("optimizer.horizon=10.5", "horizon is a number of steps, or a share of them"),
        ("optimizer.gradient_clip=0", "gradient_clip must be above zero, or null for no clipping, got 0"),
        ("language.bridge.optimizer=own", r"bridge's optimizer is one of \('language', 'codec'\), got 'own'"),
        ("language.longest_text=-1", "language.longest_text cannot be negative"),
        ("adversary.reduction=product", "adversary.reduction is one of mean, sum, got 'product'"),
        ("adversary.feature_error=square", "adversary.feature_error is one of relative, absolute"),
        ("adversary.precision=float16", "adversary.precision is one of run, float32"),
        ("adversary.discriminators={design: wide}", "wide design has kinds period and scale only: leave out stft"),
        ("adversary.discriminators.design=huge", "design is one of light, wide, got 'huge'"),
        ("draw=often", "draw is one of length, clip, got 'often'"),
        ("padding=zeros", "padding is one of silence, reflection, got 'zeros'"),
    ],
)
def test_what_makes_no_sense_is_rejected_by_name(text, message):
    with pytest.raises(TrainConfigError, match=message):
        make_config({"losses": {"mel": 1.0}, **parse_override(text)})


def without_new_keys(values: dict) -> dict:
    values = json.loads(json.dumps(values))
    for path, key in NEW_KEYS:
        section = values
        for name in path:
            section = section[name]
        del section[key]
    return values


def test_a_config_from_before_these_keys_means_what_it_meant(everything):
    assert make_config(without_new_keys(everything.to_dict())) == everything


def test_a_checkpoint_from_before_these_keys_is_resumed_bit_for_bit(everything, tmp_path):
    run = trainer(everything, tmp_path / "run")
    for _ in range(3):
        run.step()
    path = run.save() / FACTS
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "config": without_new_keys(facts["config"])}))
    run.step()
    again = trainer(everything, tmp_path / "run")
    assert again.state.step == 3
    again.step()
    expected, found = tensors_of(run.state), tensors_of(again.state)
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draw": "clip"}, "draw was 'length', now 'clip'"),
        ({"padding": "reflection"}, "padding was 'silence', now 'reflection'"),
        ({"random_polarity": False}, "random_polarity was True, now False"),
    ],
)
def test_what_decides_the_batches_stays_in_a_resumed_run(tiny_config, tmp_path, changes, message):
    trainer(tiny_config, tmp_path, steps=1).run()
    with pytest.raises(TrainConfigError, match=message):
        trainer(tiny_config, tmp_path, **changes)


def test_the_bridges_optimizer_stays_in_a_resumed_run(everything, tmp_path):
    trainer(with_bridge(everything, "language"), tmp_path, steps=1).run()
    with pytest.raises(TrainConfigError, match=r"language\.bridge\.optimizer was 'language', now 'codec'"):
        trainer(with_bridge(everything, "codec"), tmp_path)
