"""Shares of the gradient at the wave: what each group gives of it, how large the whole is, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from train_runs import assert_equal, tensors_of, trainer

from soundcodec_llmcodec.runs.config_files import parse_override
from soundcodec_llmcodec.runs.config_values import merged
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.balance import BalanceConfig, WaveBalance, norm_at_clips
from soundcodec_llmcodec.train.train_config import make_config

ALONE = World()
LOSSES = {
    "mel": LossSchedule(2.0),
    "stft": LossSchedule(1.0),
    "adversarial": LossSchedule(3.0, start=10, ramp=4),
    "feature_matching": LossSchedule(0.5, start=10),
    "commitment": LossSchedule(1.0),
}
NOW = {name: loss.at(100, 1000) for name, loss in LOSSES.items()}


def waves(clips: int = 4) -> torch.Tensor:
    return torch.randn(clips, 50, generator=torch.Generator().manual_seed(clips)).requires_grad_(True)


def losses_of(estimate: torch.Tensor) -> dict[str, torch.Tensor]:
    """Losses whose gradients differ by orders of magnitude: means over clips of products with known weights."""
    slopes = {"mel": 100.0, "stft": 10.0, "adversarial": 0.01, "feature_matching": 1.0}
    weights = torch.randn(len(slopes), 50, generator=torch.Generator().manual_seed(1))
    values = {
        name: slope * (estimate @ (row / row.norm())).mean()
        for (name, slope), row in zip(slopes.items(), weights, strict=True)
    }
    return values | {"commitment": estimate.new_ones(())}


def balanced(shares, estimate=None, weights=NOW, **changes) -> tuple[WaveBalance, torch.Tensor]:
    balance = WaveBalance(BalanceConfig(True, shares, **changes), LOSSES)
    estimate = waves() if estimate is None else estimate
    return balance, balance(estimate, losses_of(estimate), weights, ALONE)[0]


def directions(estimate: torch.Tensor) -> dict[str, torch.Tensor]:
    """Each loss's gradient at a norm of 1 a clip."""
    values = {name: value for name, value in losses_of(estimate).items() if value.requires_grad}
    found = {name: torch.autograd.grad(v, estimate, retain_graph=True)[0] for name, v in values.items()}
    return {name: gradient / norm_at_clips(gradient) for name, gradient in found.items()}


def test_each_loss_gives_its_share_whatever_its_size_and_weight():
    estimate = waves()
    _, whole = balanced({"mel": 2, "stft": 1, "adversarial": 4, "feature_matching": 3}, estimate, norm=20.0)
    of = directions(estimate)
    expected = 4 * of["mel"] + 2 * of["stft"] + 8 * of["adversarial"] + 6 * of["feature_matching"]
    torch.testing.assert_close(whole, expected)


def test_losses_of_a_group_keep_their_weights_among_each_other():
    estimate = waves()
    _, whole = balanced({"reconstruction": 1, "adversarial": 1, "feature_matching": 2}, estimate, norm=4.0)
    values, of = losses_of(estimate), directions(estimate)
    (group,) = torch.autograd.grad(2.0 * values["mel"] + values["stft"], estimate)
    torch.testing.assert_close(whole, group / norm_at_clips(group) + of["adversarial"] + 2 * of["feature_matching"])


def test_reconstruction_alone_is_as_without_balancing():
    """The size of the whole is what its weighted losses give: learning rates and clipping keep their meaning."""
    early = {name: loss.at(5, 1000) for name, loss in LOSSES.items()}  # before discriminators count
    estimate = waves()
    balance, whole = balanced({"reconstruction": 1, "gan": 1}, estimate, early)
    values = losses_of(estimate)
    (plain,) = torch.autograd.grad(2.0 * values["mel"] + values["stft"], estimate)
    torch.testing.assert_close(whole, plain)
    # With others beside it the whole stays as large, and it takes its part of that.
    values = losses_of(estimate)
    later, norms = balance(estimate, values, NOW, ALONE)
    gan = later - plain / 2
    assert float(norm_at_clips(gan)) == pytest.approx(float(norm_at_clips(plain)) / 2, rel=1e-5)
    assert set(norms) == {f"gradient/wave_{group}" for group in ("reconstruction", "gan", "unbalanced")}


def test_a_ramp_raises_the_share():
    """Adversarial at a quarter of its weight: 0.25 of a share beside one of 1."""
    weights = {**NOW, "adversarial": LOSSES["adversarial"].at(10, 1000), "feature_matching": 0.0}
    estimate = waves()
    _, whole = balanced({"reconstruction": 1, "adversarial": 1, "feature_matching": 1}, estimate, weights, norm=5.0)
    values, of = losses_of(estimate), directions(estimate)
    (group,) = torch.autograd.grad(2.0 * values["mel"] + values["stft"], estimate)
    torch.testing.assert_close(whole, 4 * group / norm_at_clips(group) + of["adversarial"])


def test_scales_follow_from_the_steps_before_and_not_from_the_piece():
    """So that pieces and processes scale alike: a piece with a tenfold gradient gives ten times as much."""
    balance = WaveBalance(BalanceConfig(True, {"reconstruction": 1, "gan": 1}, norm=2.0), LOSSES)
    estimate = waves()
    first, norms = balance(estimate, losses_of(estimate), NOW, ALONE)
    balance.update(norms)
    louder = {name: 10 * value for name, value in losses_of(estimate).items()}
    torch.testing.assert_close(balance(estimate, louder, NOW, ALONE)[0], 10 * first)


def test_sizes_are_moving_averages_without_a_bias_towards_zero():
    balance = WaveBalance(BalanceConfig(True, {"reconstruction": 1, "gan": 1}, decay=0.5), LOSSES)
    for norm in (1.0, 4.0):
        balance.update({"gradient/wave_gan": torch.tensor(norm), "mel": torch.tensor(9.0)})
    assert float(balance.gan_sum / balance.gan_count) == pytest.approx((0.5 * 1 + 4) / 1.5)
    assert float(balance.reconstruction_count) == 0


def test_a_norm_at_clips_does_not_depend_on_the_batch():
    estimate = waves(6)

    def norm(rows: slice) -> float:
        part = estimate[rows].detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(part.square().sum(dim=1).mean(), part)
        return float(norm_at_clips(gradient))

    whole, halves = norm(slice(0, 6)), [norm(slice(0, 3)), norm(slice(3, 6))]
    assert whole == pytest.approx(sum(halves) / 2)
    assert whole == pytest.approx(float((2 * estimate.detach()).norm(dim=1).mean()))


def test_averages_are_taken_over_by_name_and_what_joins_starts_fresh():
    before = WaveBalance(BalanceConfig(True, {"reconstruction": 1, "gan": 1}), LOSSES)
    before.update({"gradient/wave_reconstruction": torch.tensor(3.0), "gradient/wave_gan": torch.tensor(5.0)})
    after = WaveBalance(BalanceConfig(True, {"reconstruction": 1, "adversarial": 1, "feature_matching": 1}), LOSSES)
    after.load_state_dict(before.state_dict())
    assert (float(after.reconstruction_sum), float(after.adversarial_count)) == (3.0, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("balance.shares={gan: 0, reconstruction: 1}", r"balance: shares.gan must be above zero, got 0\.0"),
        ("balance.shares={gan: 0, reconstruction: 0}", "shares.gan must be above zero"),
        ("balance.shares={}", "shares is empty"),
        ("balance.shares={commitment: 1}", "shares are of losses on the wave .* got commitment"),
        ("balance.decay=1", "decay must lie in"),
        ("balance.norm=0", "norm must be above zero"),
        ("balance={enabled: true, shares: {gan: 1}}", r"the losses mel count and have no share in balance.shares"),
        ("balance={enabled: true, shares: {reconstruction: 1}}", "the losses adversarial count and have no share"),
        ("losses.mel=0", "balance.norm: null is the size of the reconstruction losses"),
        ("losses.mel.start=5", "balance.norm: null is the size of the reconstruction losses"),
    ],
)
def test_what_cannot_be_balanced_is_rejected(text, message):
    """When the config is made, long before any data are decoded."""
    base = {"losses": {"mel": {"weight": 1.0}, "adversarial": 1.0}, "balance": {"enabled": True}}
    with pytest.raises(TrainConfigError, match=message):
        make_config(merged(base, parse_override(text)))


def test_a_share_of_an_unused_loss_is_no_error_and_off_is_off():
    assert make_config({"losses": {"mel": 1.0}, "balance": {"enabled": True}}).balance.enabled
    off = {"losses": {"mel": 1.0, "adversarial": 1.0}, "balance": {"shares": {"mel": 1}}}
    assert not make_config(off).balance.enabled


def with_balance(config, **changes):
    return dataclasses.replace(config, balance=dataclasses.replace(config.balance, enabled=True, **changes))


def test_a_run_is_balanced_resumes_bit_for_bit_and_keeps_discriminators_to_themselves(everything, tmp_path):
    config = with_balance(everything, shares={"reconstruction": 2.0, "adversarial": 1.0, "feature_matching": 1.0})
    whole = trainer(config, tmp_path / "whole")
    rows = [whole.step().values for _ in range(8)]
    assert "gradient/wave_reconstruction" in rows[0]
    assert "gradient/wave_adversarial" not in rows[2]
    assert "gradient/wave_adversarial" in rows[3]
    killed = trainer(config, tmp_path / "killed")
    for _ in range(5):
        killed.step()
    killed.save()
    resumed = trainer(config, tmp_path / "killed")
    assert float(resumed.state.balance.adversarial_count) > 1
    resumed.run()
    assert_equal(whole.state, resumed.state)
    assert any(name.startswith("balance.") for name in tensors_of(whole.state))


@pytest.mark.parametrize("enabled", [False, True])
def test_discriminators_learn_from_their_own_loss_alone(tiny_config, tmp_path, enabled):
    """Their gradient is the same whether the codec's adversarial losses count little or much."""
    gradients = []
    for weight in (1e-3, 1e3):
        counted = {"adversarial": LossSchedule(weight), "feature_matching": LossSchedule(weight)}
        losses = {**tiny_config.losses, **counted}
        config = dataclasses.replace(tiny_config, losses=losses)
        run = trainer(with_balance(config) if enabled else config, tmp_path / str(weight))
        result = run.step()
        assert result.values["adversarial"] != 0
        gradients.append([p.grad.clone() for p in run.state.others["discriminators"].module.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_a_step_that_does_not_count_leaves_the_averages_alone(tiny_config, tmp_path, monkeypatch):
    run = trainer(with_balance(tiny_config), tmp_path, skip_nonfinite=1)
    run.step()
    before = {name: buffer.clone() for name, buffer in run.state.balance.named_buffers()}
    batch = run.batch(1)
    batch.target[0, 1000:1100] = float("nan")
    monkeypatch.setattr(run, "batch", lambda step: batch)
    assert not run.step().applied
    assert all(torch.equal(buffer, before[name]) for name, buffer in run.state.balance.named_buffers())
    assert float(before["reconstruction_count"]) == 1


def test_pieces_of_a_batch_are_balanced_as_the_whole(tiny_config, tmp_path):
    """But for a group's first step, where each starts from its own norms."""
    losses = {name: dataclasses.replace(loss, start=0, ramp=0) for name, loss in tiny_config.losses.items()}
    config = dataclasses.replace(with_balance(tiny_config), losses=losses, batch_norm="frozen", batch_size=8)
    one, cut = trainer(config, tmp_path / "one"), trainer(config, tmp_path / "cut", accumulation=2)
    one.step()
    cut.state.load(one.save())
    expected, found = one.step().values, cut.step().values
    for name, value in expected.items():
        if name.startswith("gradient/"):
            assert float(found[name]) == pytest.approx(float(value), rel=5e-3, abs=1e-5), name
