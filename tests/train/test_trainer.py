"""Training learns, resumes bit for bit, stops on NaN or a signal, and exports a codec."""

from __future__ import annotations

import dataclasses
import json
import os
import signal

import pytest
import torch
from toy_lm import ToyLM

from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.train.__main__ import main
from soundcodec_llmcodec.train.config import LANGUAGE, TrainConfigError
from soundcodec_llmcodec.train.errors import TrainingError
from soundcodec_llmcodec.train.state import checkpoints_in
from soundcodec_llmcodec.train.trainer import Trainer


def trainer(config, folder, *, skip_nonfinite=0, lm=None, **changes) -> Trainer:
    lm = lm or ToyLM()
    config = dataclasses.replace(config, **changes)
    given = (lm, lm.start(), "toy") if config.uses(*LANGUAGE) else None
    return Trainer(config, folder, progress=False, skip_nonfinite=skip_nonfinite, lm=given)


def tensors_of(state) -> dict[str, torch.Tensor]:
    found = {}
    for name, part in state.parts():
        if isinstance(part, torch.optim.Optimizer):
            for index, slots in part.state_dict()["state"].items():
                slots = {key: value for key, value in slots.items() if isinstance(value, torch.Tensor)}
                found |= {f"{name}.{index}.{slot}": value for slot, value in slots.items()}
        else:
            found |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    return found


def assert_equal(one, other):
    expected, found = tensors_of(one), tensors_of(other)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


@pytest.mark.parametrize("stop", [1, 2, 4, 6])
def test_kill_and_resume_with_every_part_gives_the_same_next_steps(everything, tmp_path, stop):
    whole = trainer(everything, tmp_path / "whole")
    whole.run()
    killed = trainer(everything, tmp_path / "killed")
    for _ in range(stop):
        killed.step()
    killed.save()
    killed.step()  # lost with the kill, which also leaves a half-written save
    (killed.checkpoints / ".saving-00000007-1").mkdir()
    torch.manual_seed(99)
    resumed = trainer(everything, tmp_path / "killed")
    assert resumed.state.step == stop
    resumed.run()
    assert_equal(whole.state, resumed.state)
    assert not list(resumed.checkpoints.glob(".saving-*"))


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
    # What never changes is a table, not a weight.
    assert [name for name in still if not name.endswith((".window", ".basis"))] == []
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
    for name, weight in (("phase", 20.0), ("bridge", 10.0)):
        schedules[name] = dataclasses.replace(schedules[name], weight=weight)
    quiet = dataclasses.replace(everything.noise, share=0.0)
    revival = dataclasses.replace(everything.revival, every=0)
    run = trainer(
        everything, tmp_path, losses=schedules, language=language, noise=quiet, revival=revival, steps=60, batch_size=8
    )
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


def test_the_loss_falls_and_the_encoder_learns(tiny_config, tmp_path):
    run = trainer(tiny_config, tmp_path)
    before = {name: p.detach().clone() for name, p in run.state.model.named_parameters()}
    first = run.step().values
    for _ in range(25):
        last = run.step().values
    assert last["mel"] < 0.8 * first["mel"]
    still = [name for name, p in run.state.model.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_gradients_reach_the_encoder_through_the_codebook(tiny_config, tmp_path):
    """With the VQ losses off, only the straight-through path can move the encoder."""
    run = trainer(tiny_config, tmp_path, losses={"mel": tiny_config.losses["mel"]})
    run.step()
    gradients = {name: p.grad for name, p in run.state.model.named_parameters()}
    assert gradients["tokenizer.stft_head.inp.weight"].abs().sum() > 0
    codebook = gradients["tokenizer.vq.quantizers.0._codebook.weight"]
    assert codebook is None or codebook.abs().sum() == 0


def test_discriminators_train_only_once_they_joined(tiny_config, tmp_path):
    run = trainer(tiny_config, tmp_path)
    judges = run.state.others["discriminators"].module
    start = {name: p.detach().clone() for name, p in judges.named_parameters()}
    for _ in range(4):
        assert "discriminator" not in run.step().values
    assert all(torch.equal(p, start[name]) for name, p in judges.named_parameters())
    assert "adversarial" in run.step().values
    assert not all(torch.equal(p, start[name]) for name, p in judges.named_parameters())
    assert all(p.requires_grad for p in judges.parameters())


def test_frozen_batch_norms_keep_their_statistics(tiny_config, tmp_path):
    run = trainer(tiny_config, tmp_path, batch_norm="frozen")
    start = {name: b.clone() for name, b in run.state.model.named_buffers() if "running" in name}
    assert start
    run.step()
    assert all(torch.equal(b, start[n]) for n, b in run.state.model.named_buffers() if "running" in n)


def broken(config, folder, **options) -> Trainer:
    run = trainer(config, folder, **options)
    with torch.no_grad():
        run.state.model.token2wav.istft_head.out.weight[0, 0] = float("nan")
    return run


def test_a_loss_that_is_not_finite_stops_the_run_by_name_with_a_dump(tiny_config, tmp_path):
    run = broken(tiny_config, tmp_path)
    before = tensors_of(run.state)
    with pytest.raises(TrainingError, match=r"mel.*NaN or infinite at step 0 \(its clips: .*clip\d\.wav"):
        run.run()
    assert checkpoints_in(run.checkpoints) == []
    after = tensors_of(run.state)
    assert all(torch.equal(before[n].nan_to_num(), after[n].nan_to_num()) for n in before if n.startswith("model."))
    facts = json.loads((tmp_path / "nonfinite" / "step-00000000.json").read_text())
    assert "mel" in facts["broken"]
    assert len(facts["clips"]) == tiny_config.batch_size
    assert (tmp_path / "nonfinite" / "step-00000000.safetensors").is_file()


def test_some_steps_that_are_not_finite_are_passed_over_and_counted(tiny_config, tmp_path):
    run = broken(tiny_config, tmp_path, skip_nonfinite=2)
    run.step()
    run.step()
    assert (run.state.step, run.state.skipped) == (2, 2)
    run.save()
    again = trainer(tiny_config, tmp_path, skip_nonfinite=2)
    assert again.state.skipped == 2
    with pytest.raises(TrainingError, match="passed over so far: 2"):
        again.step()


def test_a_signal_ends_the_step_under_way_and_saves(tiny_config, tmp_path, monkeypatch):
    run = trainer(tiny_config, tmp_path, steps=1000, checkpoint_every=1000)
    step = run.step

    def interrupted():
        if run.state.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step()

    monkeypatch.setattr(run, "step", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    run.run()
    assert [path.name for path in checkpoints_in(run.checkpoints)] == ["step-00000004"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_is_resumed_with_its_own_data_and_codec_only(tiny_config, tmp_path, text_folder):
    trainer(tiny_config, tmp_path, steps=1).run()
    with pytest.raises(TrainConfigError, match="seed was 0, now 7"):
        trainer(tiny_config, tmp_path, seed=7)
    with pytest.raises(TrainConfigError, match="codec was 'tiny', now 'compact'"):
        trainer(tiny_config, tmp_path, codec="compact")
    with pytest.raises(TrainConfigError, match="data was"):
        trainer(tiny_config, tmp_path, data=(str(text_folder),))
    rates = dataclasses.replace(tiny_config.optimizer, weight_decay=0.5)
    later = trainer(tiny_config, tmp_path, steps=20, optimizer=rates)
    assert later.state.step == 1
    assert later.state.optimizer.param_groups[0]["weight_decay"] == 0.5


def test_data_that_moved_are_the_same_data(tiny_config, tmp_path, audio_folder):
    trainer(tiny_config, tmp_path / "run", steps=1).run()
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in audio_folder.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert trainer(tiny_config, tmp_path / "run", data=(str(moved),)).state.step == 1


def test_language_losses_need_their_language_model(everything, tmp_path, monkeypatch):
    run = trainer(everything, tmp_path, steps=1)
    run.run()
    lm = ToyLM()
    with pytest.raises(TrainConfigError, match="language_model was 'toy', now 'another'"):
        Trainer(everything, tmp_path, progress=False, lm=(lm, lm.start(), "another"))


def test_the_command_trains_validates_resumes_and_exports(audio_folder, tmp_path):
    out = tmp_path / "run"
    command = ["--config", "tiny", "--data", str(audio_folder), "--validation", str(audio_folder), "--out", str(out)]
    command += ["--device", "cpu", "--quiet", "--set", "losses.adversarial=0", "losses.feature_matching=0"]
    command += ["checkpoint_every=5", "log_every=5"]
    assert main([*command, "steps=5"]) == 0
    assert main([*command, "steps=10"]) == 0
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "start"] == [0, 5]
    assert [row["step"] for row in rows if row["event"] == "step"] == [5, 10]
    last = [row for row in rows if row["event"] == "validation"][-1]
    assert last["n"] == 4
    assert last["codes"] >= 1
    assert last["bigram_bits"] > 0
    assert [path.name for path in checkpoints_in(out / "checkpoints")] == ["step-00000005", "step-00000010"]
    codec = LLMCodec.from_pretrained(out / "export")
    assert codec.info["trained"]["steps"] == 10
    assert str(audio_folder) not in json.dumps(codec.info)
    assert str(audio_folder) not in (out / "export" / "README.md").read_text()


def test_nothing_trained_is_nothing_to_export(audio_folder, tmp_path):
    command = ["--config", "tiny", "--data", str(audio_folder), "--out", str(tmp_path / "run"), "--export-only"]
    with pytest.raises(TrainConfigError, match="nothing to export"):
        main([*command, "--device", "cpu", "--quiet"])
    assert not (tmp_path / "run" / "export").exists()
