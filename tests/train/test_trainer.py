"""Training learns, resumes bit for bit, stops on NaN, and exports a codec."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.train.__main__ import main
from soundcodec_llmcodec.train.config import TrainConfigError, load_config, make_config, parse_override
from soundcodec_llmcodec.train.state import checkpoints_in
from soundcodec_llmcodec.train.steps import adversarial_share, learning_rate_at
from soundcodec_llmcodec.train.trainer import Trainer, TrainingError


def trainer(config, folder, **changes) -> Trainer:
    return Trainer(dataclasses.replace(config, **changes), folder, progress=False)


def tensors_of(state) -> dict[str, torch.Tensor]:
    found = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    found |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    found |= {f"discriminators.{k}": v for k, v in state.adversary.discriminators.state_dict().items()}
    for name, optimizer in (("codec", state.optimizer), ("discriminators", state.adversary.optimizer)):
        for index, slots in optimizer.state_dict()["state"].items():
            found |= {f"{name}.optimizer.{index}.{slot}": value for slot, value in slots.items()}
    return found


@pytest.mark.parametrize("stop", [2, 6], ids=["before-discriminators", "after-they-joined"])
def test_kill_and_resume_gives_the_same_next_steps(tiny_config, tmp_path, stop):
    whole = trainer(tiny_config, tmp_path / "whole")
    whole.run()
    killed = trainer(tiny_config, tmp_path / "killed")
    for _ in range(stop):
        killed.step()
    killed.save()
    killed.step()  # lost with the kill, which also leaves a half-written save
    (killed.checkpoints / ".saving-00000007-1").mkdir()
    torch.manual_seed(99)
    resumed = trainer(tiny_config, tmp_path / "killed")
    assert resumed.state.step == stop
    resumed.run()
    expected, found = tensors_of(whole.state), tensors_of(resumed.state)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    assert not list(resumed.checkpoints.glob(".saving-*"))


def test_the_loss_falls_and_the_encoder_learns(tiny_config, tmp_path):
    run = trainer(tiny_config, tmp_path, adversarial_start=None)
    before = {name: p.detach().clone() for name, p in run.state.model.named_parameters()}
    first = run.step()
    for _ in range(25):
        last = run.step()
    assert last["mel"] < 0.8 * first["mel"]
    still = [name for name, p in run.state.model.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_gradients_reach_the_encoder_through_the_codebook(tiny_config, tmp_path):
    """With the VQ losses off, only the straight-through path can move the encoder."""
    run = trainer(tiny_config, tmp_path, commitment_weight=0.0, codebook_weight=0.0, adversarial_start=None)
    run.step()
    gradients = {name: p.grad for name, p in run.state.model.named_parameters()}
    assert gradients["tokenizer.stft_head.inp.weight"].abs().sum() > 0
    codebook = gradients["tokenizer.vq.quantizers.0._codebook.weight"]
    assert codebook is None or codebook.abs().sum() == 0


def test_discriminators_train_only_once_they_joined(tiny_config, tmp_path):
    run = trainer(tiny_config, tmp_path)
    start = {name: p.detach().clone() for name, p in run.state.adversary.discriminators.named_parameters()}
    for _ in range(4):
        assert "discriminator" not in run.step()
    assert all(torch.equal(p, start[name]) for name, p in run.state.adversary.discriminators.named_parameters())
    assert "adversarial" in run.step()
    assert not all(torch.equal(p, start[name]) for name, p in run.state.adversary.discriminators.named_parameters())
    assert all(p.requires_grad for p in run.state.adversary.discriminators.parameters())


def test_a_loss_that_is_not_finite_stops_the_run_by_name(tiny_config, tmp_path):
    run = trainer(tiny_config, tmp_path)
    with torch.no_grad():
        run.state.model.token2wav.istft_head.out.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match=r"mel.*NaN"):
        run.run()
    assert not checkpoints_in(run.checkpoints)


def test_schedules():
    config = make_config({"steps": 100, "warmup_steps": 10, "learning_rate": 1.0, "final_learning_rate": 0.1})
    assert learning_rate_at(0, config, 1.0) == pytest.approx(0.1)
    assert learning_rate_at(9, config, 1.0) == learning_rate_at(10, config, 1.0) == 1.0
    assert learning_rate_at(55, config, 1.0) == pytest.approx(0.55)
    assert learning_rate_at(100, config, 1.0) == learning_rate_at(500, config, 1.0) == pytest.approx(0.1)
    config = dataclasses.replace(config, adversarial_start=20, adversarial_ramp=10)
    assert [adversarial_share(step, config) for step in (19, 20, 29, 90)] == [0.0, 0.1, 1.0, 1.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepz": 3}, "stepz"),
        ({"steps": 0}, "steps"),
        ({"precision": "float16"}, "float16"),
        ({"speeds": [3.0]}, "speeds"),
        ({"ema_decay": 1.0}, "ema_decay"),
    ],
)
def test_impossible_training_configs_are_refused(values, message):
    with pytest.raises(TrainConfigError, match=message):
        make_config(values)


def test_command_line_over_yaml_over_default(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("codec: tiny\nsteps: 11\nbatch_size: 3\n")
    config = load_config(str(path), dict([parse_override("steps=12"), parse_override("speeds=[0.9, 1.1]")]))
    assert (config.steps, config.batch_size, config.speeds, config.seed) == (12, 3, (0.9, 1.1), 0)
    with pytest.raises(TrainConfigError, match="compact"):
        load_config("no-such-config")
    with pytest.raises(TrainConfigError, match="key=value"):
        parse_override("steps")


def test_the_command_trains_validates_resumes_and_exports(audio_folder, tmp_path):
    out = tmp_path / "run"
    command = ["--config", "tiny", "--data", str(audio_folder), "--validation", str(audio_folder), "--out", str(out)]
    command += ["--device", "cpu", "--quiet", "--set", "adversarial_start=null", "checkpoint_every=5", "log_every=5"]
    assert main([*command, "steps=5"]) == 0
    assert main([*command, "steps=10"]) == 0
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "start"] == [0, 5]
    assert rows[-1]["event"] == "validation"
    assert rows[-1]["n"] == 4
    assert rows[-1]["codes"] >= 1
    assert [path.name for path in checkpoints_in(out / "checkpoints")] == ["step-00000005", "step-00000010"]
    codec = LLMCodec.from_pretrained(out / "export")
    assert codec.info["trained"]["steps"] == 10
    assert str(audio_folder) not in json.dumps(codec.info)


def test_numbers_that_yaml_reads_as_text_are_numbers():
    """YAML 1.1 takes 1e-3 for text."""
    values = dict(parse_override(text) for text in ("learning_rate=1e-3", "speeds=1.0", "adversarial_start=null"))
    config = make_config(values)
    assert (config.learning_rate, config.speeds, config.adversarial_start) == (0.001, (1.0,), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate=fast", "learning_rate must be a number"),
        ("gain_db=3", "gain_db takes two numbers"),
        ("segment_s=0.02", "at least 0.1 s"),
        ("compile=1", "true or false"),
        ("steps=[", "not YAML"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(text, message):
    with pytest.raises(TrainConfigError, match=message):
        make_config(dict([parse_override(text)]))


def test_a_run_is_resumed_with_its_own_data_and_codec_only(tiny_config, tmp_path):
    trainer(tiny_config, tmp_path, steps=1).run()
    with pytest.raises(TrainConfigError, match="seed was 0, now 7"):
        trainer(tiny_config, tmp_path, seed=7)
    with pytest.raises(TrainConfigError, match="codec was 'tiny', now 'compact'"):
        trainer(tiny_config, tmp_path, codec="compact")
    later = trainer(tiny_config, tmp_path, steps=20, weight_decay=0.5)
    assert later.state.step == 1
    assert later.state.optimizer.param_groups[0]["weight_decay"] == 0.5


def test_a_state_that_is_not_finite_is_never_saved(tiny_config, tmp_path):
    """A checkpoint falls due before the next look at the log's means."""
    run = trainer(tiny_config, tmp_path, log_every=100, checkpoint_every=2)
    run.step()
    run.step()
    good = run.save()
    with torch.no_grad():
        run.state.model.token2wav.istft_head.out.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match=r"clip\d\.wav"):
        run.run()
    assert checkpoints_in(run.checkpoints) == [good]


def test_nothing_trained_is_nothing_to_export(audio_folder, tmp_path):
    command = ["--config", "tiny", "--data", str(audio_folder), "--out", str(tmp_path / "run"), "--export-only"]
    with pytest.raises(TrainConfigError, match="nothing to export"):
        main([*command, "--device", "cpu", "--quiet"])
    assert not (tmp_path / "run" / "export").exists()
