"""A codec that waits: what moves before its start and what does not, and a run that is resumed on either side of it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from train_runs import assert_equal, tensors_of, trainer

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.train_config import make_config

START = 4


@pytest.fixture
def waiting(everything):
    """Every part, batch norms that train, the bridge's layer in the codec's optimizer; codes are revived every third
    step."""
    bridge = dataclasses.replace(everything.language.bridge, logits="linear", optimizer="codec")
    return dataclasses.replace(
        everything, codec_start=START, language=dataclasses.replace(everything.language, bridge=bridge)
    )


def copied(state) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in tensors_of(state).items()}


def changed(before, after) -> set[str]:
    return {name for name, tensor in after.items() if name not in before or not torch.equal(tensor, before[name])}


def moved(names, prefix: str) -> set[str]:
    return {name for name in names if name.startswith(prefix)}


def test_nothing_of_a_waiting_codec_moves_and_what_is_beside_it_learns(waiting, tmp_path):
    run = trainer(waiting, tmp_path)
    before = copied(run.state)
    for step in range(START):
        values = run.step().values
        assert values["gradient/encoder"] == values["gradient/decoder"] == values["gradient/quantizer"] == 0
        assert "revived" not in values, step
    names = changed(before, tensors_of(run.state))
    # Parameters, running statistics of batch norms, the average, the bridge's layer, the optimizer's past: as before.
    for prefix in ("model.", "average.", "language.bridge.", "optimizer."):
        assert moved(names, prefix) == set(), prefix
    for prefix in ("discriminators.", "language.heads.", "language.audio_embeddings", "prior."):
        assert moved(names, prefix), prefix
    # What the codec's tokens are is known all the same.
    assert int(run.state.usage.seen) == START
    assert float(run.state.usage.shares.sum()) == pytest.approx(1.0)


def test_the_first_step_from_the_start_on_moves_codec_bridge_batch_norms_and_average(waiting, tmp_path):
    run = trainer(waiting, tmp_path)
    for _ in range(START):
        run.step()
    before = copied(run.state)
    values = run.step().values
    assert values["gradient/encoder"] > 0
    after = tensors_of(run.state)
    names = changed(before, after)
    for prefix in ("model.", "average.", "optimizer."):
        assert moved(names, prefix), prefix
    assert moved(names, "language.bridge.") == {"language.bridge.linear.weight", "language.bridge.linear.bias"}
    assert {name for name in moved(names, "model.") if "running_mean" in name}
    # The average counts the codec's own steps: after the first it has 1 - 2 / 11 of what changed.
    name = "token2wav.istft_head.out.weight"
    was, now = before[f"model.{name}"], after[f"model.{name}"]
    torch.testing.assert_close(after[f"average.{name}"], was + (9 / 11) * (now - was))


def test_codes_are_revived_once_the_codec_learns(waiting, tmp_path):
    run = trainer(waiting, tmp_path)
    revived = [step for step in range(8) if "revived" in run.step().values]
    assert revived == [5]  # not at step 2


@pytest.mark.parametrize("targets", ["codes", "encoder"])
@pytest.mark.parametrize("mode", ["gumbel", "straight_through", "detach"])
@pytest.mark.parametrize("logits", ["linear", "codebook"])
def test_every_kind_of_bridge_and_target_trains_beside_a_waiting_codec(waiting, tmp_path, targets, mode, logits):
    bridge = dataclasses.replace(waiting.language.bridge, mode=mode, logits=logits)
    language = dataclasses.replace(waiting.language, bridge=bridge, targets=targets)
    losses = {name: dataclasses.replace(loss, start=0, ramp=0) for name, loss in waiting.losses.items()}
    run = trainer(waiting, tmp_path, language=language, losses=losses)
    before = copied(run.state)
    assert run.step().applied
    names = changed(before, tensors_of(run.state))
    assert moved(names, "model.") == set()
    assert moved(names, "language.heads.")
    assert moved(names, "language.audio_embeddings")


def test_a_bridge_in_the_language_parts_optimizer_does_not_wait(waiting, tmp_path):
    bridge = dataclasses.replace(waiting.language.bridge, optimizer="language")
    run = trainer(waiting, tmp_path, language=dataclasses.replace(waiting.language, bridge=bridge))
    before = copied(run.state)
    run.step()
    assert moved(changed(before, tensors_of(run.state)), "language.bridge.")


@pytest.mark.parametrize("stop", [2, START, 6])
def test_a_run_resumed_before_at_or_after_the_start_is_the_uninterrupted_one(waiting, tmp_path, stop):
    """With all that the published recipe sets otherwise: even draws, reflections, sums, wide discriminators."""
    discriminators = dataclasses.replace(
        waiting.adversary.discriminators, kinds=("period", "scale"), design="wide", channels=1
    )
    optimizer = dataclasses.replace(waiting.adversary.optimizer, gradient_clip=None)
    adversary = dataclasses.replace(
        waiting.adversary,
        discriminators=discriminators,
        optimizer=optimizer,
        reduction="sum",
        feature_error="absolute",
        r1_lazy=False,
    )
    changes = {"adversary": adversary, "draw": "clip", "padding": "reflection", "clip_apart": True}
    changes["random_polarity"] = False
    changes["optimizer"] = dataclasses.replace(waiting.optimizer, kind="sgd", warmup=3, horizon=40)
    whole = trainer(waiting, tmp_path / "whole", **changes)
    whole.run()
    first = trainer(waiting, tmp_path / "cut", **changes)
    for _ in range(stop):
        first.step()
    first.save()
    first.step()
    torch.manual_seed(99)
    resumed = trainer(waiting, tmp_path / "cut", **changes)
    assert resumed.state.step == stop
    resumed.run()
    assert_equal(whole.state, resumed.state)


def test_a_start_may_be_a_share_of_the_run_and_needs_something_that_learns_before_it():
    values = {"codec": "tiny", "steps": 100, "losses": {"mel": 1.0}}
    with pytest.raises(
        TrainConfigError, match=r"nothing would learn before codec_start=10: set it to 0, or give losses"
    ):
        make_config({**values, "codec_start": 10})
    with pytest.raises(TrainConfigError, match="codec_start is a number of steps, or a share of them"):
        make_config({**values, "codec_start": 2.5})
    with pytest.raises(TrainConfigError, match="codec_start is a number of steps, or a share of them"):
        make_config({**values, "codec_start": -1})


def test_a_share_of_the_run_is_that_many_steps(waiting, tmp_path):
    run = trainer(waiting, tmp_path, codec_start=0.25)
    learns = []
    for _ in range(4):
        learns.append(run.state.codec_learns)
        run.step()
    assert learns == [False, False, True, True]
