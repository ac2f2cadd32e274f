"""Every part switched on: what counts when, who gets gradients, pieces of a batch, and what a run is refused for."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from toy_lm import ToyLM
from train_runs import tensors_of, trainer

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.codec_trainer import Trainer
from soundcodec_llmcodec.train.optimizers import optimizer_of
from soundcodec_llmcodec.train.outputs import export_run


def test_every_part_does_what_it_says(everything, tmp_path):
    """Each loss counts from its own step, everything that trains moves, and the LLM does not."""
    lm = ToyLM()
    run = trainer(everything, tmp_path, lm=lm)
    before = {name: tensor.clone() for name, tensor in tensors_of(run.state).items()}
    frozen = [parameter.clone() for parameter in lm.model.parameters()]
    seen = [set(run.step().values) for _ in range(8)]
    first = {name: next(i for i, names in enumerate(seen) if name in names) for name in set().union(*seen)}
    begins = {"mel": 0, "bridge": 0, "prior": 1, "future_tokens": 2, "alignment": 2, "discriminator": 2, "r1": 2}
    begins |= {"contrast": 2, "adversarial": 3, "feature_matching": 3, "revived": 2, "gradient/language": 0}
    assert {name: first[name] for name in begins} == begins
    after = tensors_of(run.state)
    still = [
        name
        for name, tensor in before.items()
        if torch.equal(tensor, after[name]) and tensor.is_floating_point() and "num_batches" not in name
    ]
    # What never changes is a table, not a weight, and a score's bias while the hinge pushes it up as often as down.
    assert [name for name in still if not name.endswith((".window", ".basis", ".last.bias"))] == []
    assert all(torch.equal(*pair) for pair in zip(lm.model.parameters(), frozen, strict=True))
    assert all(parameter.grad is None for parameter in lm.model.parameters())


@pytest.mark.parametrize("name", ["bridge", "future_tokens", "alignment", "contrast", "prior"])
@pytest.mark.parametrize("mode", ["gumbel", "straight_through", "detach"])
def test_language_losses_reach_the_encoder_unless_detached(everything, tmp_path, name, mode):
    """Alone, with all other losses off: the encoder's gradient comes from this one."""
    others = {key: dataclasses.replace(loss, weight=0.0, final=None) for key, loss in everything.losses.items()}
    schedule = dataclasses.replace(everything.losses[name], start=0, ramp=0)
    bridge = dataclasses.replace(everything.language.bridge, mode=mode)
    language = dataclasses.replace(everything.language, bridge=bridge)
    lm = ToyLM()
    run = trainer(everything, tmp_path, lm=lm, losses={**others, name: schedule}, language=language, batch_size=8)
    run.step()  # the bank is empty before the first
    result = run.step()
    reaches = float(result.values["gradient/encoder"])
    # The prior hangs on the latents, not on the bridge.
    assert (reaches > 0) == (mode != "detach" or name == "prior"), reaches
    assert result.values["gradient/decoder"] == 0
    assert all(parameter.grad is None for parameter in lm.model.parameters())


def test_one_batch_again_and_again_lowers_every_loss_that_counts(everything, tmp_path, monkeypatch):
    schedules = {
        name: dataclasses.replace(loss, start=0, ramp=0, final=None)
        for name, loss in everything.losses.items()
        if name not in ("adversarial", "feature_matching", "scale_mel")
    }
    rates = dataclasses.replace(everything.language.optimizer, learning_rate=5e-3, final_learning_rate=5e-3)
    bridge = dataclasses.replace(everything.language.bridge, mode="straight_through")
    # A bank that is full after a step, so that the number of negatives stays the same.
    alignment = dataclasses.replace(everything.language.alignment, bank=2)
    language = dataclasses.replace(everything.language, optimizer=rates, bridge=bridge, alignment=alignment)
    for name, weight in (("phase", 20.0), ("bridge", 10.0), ("contrast", 1.0)):
        schedules[name] = dataclasses.replace(schedules[name], weight=weight)
    quiet = dataclasses.replace(everything.noise, share=0.0)
    revival = dataclasses.replace(everything.revival, every=0)
    steady = {"noise": quiet, "revival": revival, "scales_share": 1.0}
    run = trainer(everything, tmp_path, losses=schedules, language=language, **steady, steps=60, batch_size=8)
    batch = run.batch(0)
    monkeypatch.setattr(run, "batch", lambda step: batch)
    rows = [run.step().values for _ in range(60)]
    fell = {name: float(rows[-1][name] / rows[1][name]) for name in schedules if name in rows[1]}
    language = {"bridge", "future_tokens", "alignment", "contrast", "prior"}
    assert set(fell) >= {"mel", "log_mel", "loudness", "complex_stft", "phase", *language}
    # What the codebook costs rises from nothing while the encoder learns to use it.
    assert {name: ratio for name, ratio in fell.items() if ratio >= 1 and name not in ("commitment", "codebook")} == {}


@pytest.mark.parametrize("pieces", [2, 4])
def test_accumulated_pieces_are_the_whole_batch(everything, tmp_path, pieces):
    """With batch norms as they are and no noise drawn for a piece, cutting a batch changes rounding only."""
    bridge = dataclasses.replace(everything.language.bridge, mode="straight_through")
    # The bank takes texts in after each piece, so that a piece sees what an uncut batch does not.
    losses = {name: loss for name, loss in everything.losses.items() if name != "contrast"}
    changes = {
        "language": dataclasses.replace(everything.language, bridge=bridge),
        "losses": {name: dataclasses.replace(loss, start=0, ramp=0) for name, loss in losses.items()},
        "batch_norm": "frozen",
        "batch_size": 8,
    }
    one = trainer(everything, tmp_path / "one", **changes)
    cut = trainer(everything, tmp_path / "cut", **changes, accumulation=pieces)
    results = [run.step().values for run in (one, cut)]
    for name in results[0].keys() - {"contrast"}:
        value = results[0][name]
        assert float(results[1][name]) == pytest.approx(float(value), rel=2e-3, abs=1e-5), name


def test_a_step_that_is_not_finite_leaves_nothing_behind(everything, tmp_path, monkeypatch):
    """Not in batch norms, which see the batch first, nor in the bank of texts, the averages, the optimizers."""
    run = trainer(everything, tmp_path, skip_nonfinite=1)
    for _ in range(4):
        run.step()
    before = {name: tensor.clone() for name, tensor in tensors_of(run.state).items()}
    batch = run.batch(4)
    batch.padded[0, 1000:1100] = float("nan")
    monkeypatch.setattr(run, "batch", lambda step: batch)
    assert not run.step().applied
    monkeypatch.undo()
    after = tensors_of(run.state)
    assert [name for name, tensor in before.items() if not torch.equal(tensor, after[name])] == []
    assert run.step().applied
    assert all(bool(tensor.isfinite().all()) for tensor in tensors_of(run.state).values())


def test_alignment_without_texts_that_fit_is_rejected(everything, tmp_path):
    """Rather than trained on nothing."""
    with pytest.raises(TrainConfigError, match=r"alignment needs texts: of 4 clips none has one and is short enough"):
        trainer(
            everything, tmp_path, segment_s=0.1, language=dataclasses.replace(everything.language, text_coverage=1.0)
        )


def test_a_new_run_may_start_from_an_exported_bundle(everything, tmp_path):
    first = trainer(everything, tmp_path / "first", steps=4)
    first.run()
    export_run(tmp_path / "first", ("bundle", "published"), tmp_path / "exports")
    assert "base_model" not in (tmp_path / "exports" / "published" / "README.md").read_text()
    second = trainer(everything, tmp_path / "second", init=str(tmp_path / "exports" / "bundle"))
    assert second.state.step == 0
    expected, found = tensors_of(first.state), tensors_of(second.state)
    for name in found:
        if name.startswith(("discriminators.", "language.", "prior.")):
            assert torch.equal(found[name], expected[name]), name
        if name.startswith("model."):
            assert torch.equal(found[name], expected[name.replace("model.", "average.")]), name


def test_weights_that_decay_are_matrices(everything, tmp_path):
    run = trainer(everything, tmp_path)
    for _, module, _ in run.state.modules():
        optimizer = optimizer_of(module, everything.optimizer, torch.device("cpu"))
        decayed = {id(p) for p in optimizer.param_groups[0]["params"]}
        names = [name for name, parameter in module.named_parameters() if id(parameter) in decayed]
        assert names
        assert not [name for name in names if "original0" in name or "_codebook" in name or name.endswith("bias")]


def test_language_losses_need_their_language_model(everything, tmp_path, monkeypatch):
    run = trainer(everything, tmp_path, steps=1)
    run.run()
    lm = ToyLM()
    with pytest.raises(TrainConfigError, match="language_model was 'toy', now 'another'"):
        Trainer(everything, tmp_path, progress=False, lm=(lm, lm.start(), "another"))
