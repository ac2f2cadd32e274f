"""Training learns, resumes bit for bit, stops on NaN or a signal, and exports a codec."""

from __future__ import annotations

import dataclasses
import json
import os
import signal

import pytest
import torch
from train_runs import assert_equal, trainer

from soundcodec_llmcodec.cli.command_tree import run_command
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.runs.errors import TrainConfigError, TrainingError
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.runs.schedules import LossSchedule, learning_rate_at
from soundcodec_llmcodec.train.codec_trainer import Trainer


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
    discriminators = run.state.others["discriminators"].module
    start = {name: p.detach().clone() for name, p in discriminators.named_parameters()}
    for _ in range(4):
        assert "discriminator" not in run.step().values
    assert all(torch.equal(p, start[name]) for name, p in discriminators.named_parameters())
    assert "adversarial" in run.step().values
    assert not all(torch.equal(p, start[name]) for name, p in discriminators.named_parameters())
    assert all(p.requires_grad for p in discriminators.parameters())


def test_discriminators_that_join_late_learn_at_rates_of_their_own_clock(tiny_config, tmp_path):
    """Warm-up and cosine over the rest of the run, from its beginning: not what is left of the codec's rates."""
    rates = OptimizerConfig(learning_rate=1.0, final_learning_rate=0.1, warmup=10)
    adversary = dataclasses.replace(tiny_config.adversary, optimizer=rates, lead=100)
    losses = {**tiny_config.losses, "adversarial": LossSchedule(1.0, start=0.8), "feature_matching": LossSchedule(0.0)}
    run = trainer(tiny_config, tmp_path, steps=1_000, optimizer=rates, adversary=adversary, losses=losses)

    def at(step: int) -> tuple[float, float]:
        run.state.step = step
        codec = run.state.set_rates()
        return codec, run.state.others["discriminators"].optimizer.param_groups[0]["lr"]

    assert run.config.discriminators_begin == 700
    assert [at(step)[1] for step in (700, 704, 710, 855)] == pytest.approx([0.1, 0.5, 1.0, 0.55])
    assert at(999)[1] == pytest.approx(0.1, abs=1e-3)
    assert at(855)[0] == pytest.approx(learning_rate_at(855, 1_000, 10, 1.0, 0.1)) != at(855)[1]


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
    with pytest.raises(TrainingError, match=r"mel.*NaN or infinite at step 0 \(its clips: .*clip\d"):
        run.run()
    # What was trained until then is kept, and the step is still to be made.
    assert [path.name for path in checkpoints_in(run.checkpoints)] == ["step-00000000"]
    assert (run.state.step, run.state.skipped) == (0, 0)
    facts = json.loads((tmp_path / "nonfinite" / "step-00000000.json").read_text())
    assert "mel" in facts["broken"]
    assert len(facts["clips"]) == tiny_config.batch_size
    assert (tmp_path / "nonfinite" / "step-00000000.safetensors").is_file()


def test_some_steps_that_are_not_finite_are_passed_over_and_counted(tiny_config, tmp_path):
    run = broken(tiny_config, tmp_path, skip_nonfinite=2)
    run.step()
    run.step()
    assert (run.state.step, run.state.skipped) == (2, 2)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "skipped"] == [1, 2]
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
    with pytest.raises(TrainConfigError, match=r"optimizer\.kind was 'adamw', now 'sgd'"):
        trainer(tiny_config, tmp_path, optimizer=dataclasses.replace(tiny_config.optimizer, kind="sgd"))
    discriminators = dataclasses.replace(tiny_config.adversary.discriminators, channels=8)
    with pytest.raises(TrainConfigError, match=r"adversary\.discriminators was"):
        trainer(
            tiny_config, tmp_path, adversary=dataclasses.replace(tiny_config.adversary, discriminators=discriminators)
        )
    with pytest.raises(TrainConfigError, match="the training clips differ from those of this run"):
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


def test_a_batch_that_cannot_be_shared_is_rejected(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(World, "join", classmethod(lambda cls, device: cls(0, 2)))
    with pytest.raises(TrainConfigError, match="batch_size 6 cannot be shared evenly by 2 processes in 2 pieces"):
        trainer(tiny_config, tmp_path, batch_size=6, accumulation=2)


def test_the_command_trains_validates_resumes_and_exports(audio_folder, tmp_path):
    out = tmp_path / "run"
    command = ["train", "--config", "tiny", "--data", str(audio_folder), "--validation", str(audio_folder)]
    command += [
        "--out",
        str(out),
        "--device",
        "cpu",
        "--quiet",
        "--set",
        "losses.adversarial=0",
        "losses.feature_matching=0",
    ]
    command += ["--set", "checkpoint_every=5", "log_every=5"]
    assert run_command([*command, "steps=5"]) == 0
    assert run_command([*command, "steps=10"]) == 0
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
    # What is said by one --set and by another counts.
    kept = json.loads((out / "checkpoints" / "step-00000010" / "state.json").read_text())["config"]
    assert (kept["losses"]["adversarial"]["weight"], kept["log_every"], kept["steps"]) == (0, 5, 10)
    assert [row["event"] for row in rows].count("validation") == 2  # once a run's end, not twice
    assert str(audio_folder) not in (out / "export" / "README.md").read_text()


def test_nothing_trained_is_nothing_to_export(audio_folder, tmp_path):
    command = ["train", "--config", "tiny", "--data", str(audio_folder), "--out", str(tmp_path / "run")]
    with pytest.raises(TrainConfigError, match="nothing to export"):
        run_command([*command, "--export-only", "--device", "cpu", "--quiet"])
    assert not (tmp_path / "run" / "export").exists()
