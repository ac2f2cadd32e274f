"""A run: it learns, validates, resumes exactly, refuses what does not fit, and exports what it validated."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import signal

import numpy as np
import pytest
import torch
from counting_corpus import counting, write_corpus
from safetensors.torch import load_file

from soundcodec_llmcodec.cli.command_tree import run_command
from soundcodec_llmcodec.data.token_corpus import TokenCorpus
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.training.lm_config import BUNDLED, load_config, make_config
from soundcodec_llmcodec.lm.training.lm_export import read_run
from soundcodec_llmcodec.lm.training.lm_trainer import LMTrainer
from soundcodec_llmcodec.lm.training.lm_validation import validate
from soundcodec_llmcodec.lm.training.token_clips import open_clips
from soundcodec_llmcodec.runs.errors import TrainConfigError, TrainingError


def trainer(settings, folder, **changes) -> LMTrainer:
    return LMTrainer(make_config({**settings, **changes}), folder, progress=False)


def weights(run: LMTrainer) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in run.state.network.trained().items()}


@pytest.mark.parametrize("kind", ["free", "codebook"])
def test_a_resumed_run_ends_with_the_same_weights(settings, tmp_path, kind):
    settings["scratch"] |= {"rows": {"kind": kind}}
    whole = trainer(settings, tmp_path / "whole")
    whole.run()
    for _ in range(4):
        part = trainer(settings, tmp_path / "parts")
        part.run(max_seconds=0)
    last = trainer(settings, tmp_path / "parts")
    assert last.state.step == 4
    last.run()
    assert (last.state.step, last.state.epoch, last.state.row) == (8, whole.state.epoch, whole.state.row)
    assert last.state.best == whole.state.best
    expected, found = weights(whole), weights(last)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    saved = [load_file(tmp_path / n / "checkpoints/step-00000008/state.safetensors") for n in ("whole", "parts")]
    assert saved[0].keys() == saved[1].keys()
    assert all(torch.equal(saved[0][name], saved[1][name]) for name in saved[0])
    steps = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps if row["event"] == "validation"] == [4, 8]


def test_steps_after_the_last_checkpoint_come_again_as_they_were(settings, tmp_path):
    whole = trainer(settings, tmp_path / "whole")
    whole.run()
    killed = trainer(settings, tmp_path / "killed")
    for step in range(6):
        if step == 4:
            killed.validate()
            killed.save()
        killed.step()
    killed.monitor.event("validation", 6, bits=0.0)
    del killed
    last = trainer(settings, tmp_path / "killed")
    assert last.state.step == 4
    last.run()
    expected, found = weights(whole), weights(last)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    rows = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "validation"] == [4, 8]


def test_accumulation_changes_no_gradient(settings, tmp_path):
    settings["scratch"] |= {"dropout": 0.0, "token_dropout": 0.0}
    settings["optimizer"] = {**settings["optimizer"], "kind": "sgd", "learning_rate": 0.5}
    runs = [trainer(settings, tmp_path / str(n), accumulation=n) for n in (1, 4)]
    values = [run.step() for run in runs]
    assert values[0]["bits"] == pytest.approx(values[1]["bits"], rel=1e-6)
    one, four = map(weights, runs)
    for name in one:
        torch.testing.assert_close(one[name], four[name], rtol=1e-5, atol=1e-7)


def test_a_run_learns_what_there_is_to_learn(settings, tmp_path, source):
    # Of each token one of two follows: one bit, and near two for the few that a clip begins with at random.
    run = trainer(
        settings, tmp_path / "run", steps=150, validate_every=150, scratch={"layers": 1, "width": 32, "heads": 2}
    )
    before = validate(run.state.network, run.held_out)
    assert before.bits == pytest.approx(math.log2(source.vocabulary_size), abs=0.1)
    run.run()
    after = run.validate()
    assert after.bits < before.bits - 2
    assert after.perplexity == pytest.approx(2**after.bits)
    assert after.bits_per_second == pytest.approx(after.bits * source.token_rate)
    assert after.tokens == len(run.held_out.tokens)


def test_the_command_trains_exports_and_says_what_was_validated(settings, corpus, tmp_path, capsys):
    out = tmp_path / "run"
    (tmp_path / "config.yaml").write_text(
        json.dumps({k: v for k, v in settings.items() if k not in ("tokens", "steps")})
    )
    command = ["--config", str(tmp_path / "config.yaml"), "--tokens", f"{corpus}:train", "--out", str(out)]
    command += ["--steps", "6", "--device", "cpu", "--quiet", "--set", "scratch.rows.kind=codebook"]
    assert run_command(["lm", "train", *command]) == 0
    assert capsys.readouterr().out.startswith(f"{out / 'export'} (weights of step ")
    lm = load_token_lm(out / "export", TokenCorpus.open(f"{corpus}:train").source)
    scores = lm.score(TokenCorpus.open(f"{corpus}:validation").ids())
    bits = sum(s.audio_nll.sum() for s in scores) / sum(len(s.audio_nll) for s in scores) / math.log(2)
    about = json.loads((out / "export" / "training.json").read_text())
    assert bits == pytest.approx(about["validation"]["bits"], abs=1e-5)
    assert about["corpora"] == ["counting:train"]
    assert str(tmp_path) not in json.dumps(about)
    first = lm.identity
    again = ["--out", str(out), "--export-only", "--export", str(tmp_path / "again"), "--name", "mine"]
    assert run_command(["lm", "train", *again]) == 0
    again = load_token_lm(tmp_path / "again")
    assert (again.name, again.identity) == ("mine", first)


def test_the_best_validated_weights_are_exported(settings, tmp_path):
    run = trainer(settings, tmp_path / "run")
    run.run()
    good = run.state.best
    with torch.no_grad():
        for parameter in run.state.network.trained().values():
            parameter.add_(torch.randn_like(parameter))
    run.state.step += 1
    run._validated = None
    assert run.validate().bits > good[1]
    assert run.state.best == good
    assert json.loads((tmp_path / "run" / "best" / "best.json").read_text())["step"] == good[0]


@pytest.mark.parametrize("validation", [[], ["other"]])
def test_the_best_of_another_validation_is_forgotten(settings, corpus, tmp_path, validation):
    trainer(settings, tmp_path / "run", steps=4).run()
    assert read_run(tmp_path / "run").info["steps"] <= 4
    other = [f"{corpus}:train" for _ in validation]
    longer = trainer(settings, tmp_path / "run", steps=6, validation=other, validate_every=100)
    assert longer.state.best is None
    longer.run()
    assert read_run(tmp_path / "run").info["steps"] == 6


def test_another_run_in_the_folder_is_rejected(settings, tmp_path, corpus, source):
    trainer(settings, tmp_path / "run").run(max_seconds=0)
    for change in ({"seed": 1}, {"row_tokens": 32}, {"scratch": {"layers": 2, "width": 16, "heads": 2}}):
        with pytest.raises(TrainConfigError, match="another run"):
            trainer(settings, tmp_path / "run", **change)
    other = write_corpus(tmp_path / "other", source, {"train": counting(source.vocabulary_size, 5, 9)})
    with pytest.raises(TrainConfigError, match="the training clips differ from those of this run"):
        trainer(settings, tmp_path / "run", tokens=[str(other)])
    assert trainer(settings, tmp_path / "run", steps=20).state.step == 1
    moved = tmp_path / "moved"
    shutil.copytree(corpus, moved)
    assert trainer(settings, tmp_path / "run", tokens=[f"{moved}:train"]).state.step == 1


def test_tokens_of_two_codecs_are_rejected(settings, tmp_path, source):
    strange = dataclasses.replace(source, codec_hash="9" * 64, codec_name="strange")
    other = write_corpus(tmp_path / "strange", strange, {"train": counting(source.vocabulary_size, 5, 9)})
    for change in ({"tokens": [*settings["tokens"], str(other)]}, {"validation": [str(other)]}):
        with pytest.raises(TrainConfigError, match="one codec"):
            trainer(settings, tmp_path / "run", **change)


def test_several_corpora_are_joined(settings, corpus):
    one = open_clips([f"{corpus}:train"])
    two = open_clips([f"{corpus}:train", f"{corpus}:validation"])
    assert len(two) == len(one) + 8
    assert np.array_equal(two.clip(len(one)), open_clips([f"{corpus}:validation"]).clip(0))
    assert len(two.first(3)) == 3
    assert np.array_equal(two.first(3).clip(2), two.clip(2))


def test_a_step_that_is_not_finite_stops_and_leaves_nothing_behind(settings, tmp_path):
    run = trainer(settings, tmp_path / "run")
    run.step()
    before = weights(run)
    run.state.network.lm.model.norm.register_forward_hook(lambda module, inputs, output: output * torch.nan)
    with pytest.raises(TrainingError, match="step 1 is not finite"):
        run.step()
    after = trainer(settings, tmp_path / "run")
    assert after.state.step == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(after).items())


def test_an_interrupt_saves_the_step_under_way(settings, tmp_path):
    run = trainer(settings, tmp_path / "run", steps=1000)
    step = run.step

    def interrupted():
        if run.state.step == 2:
            signal.raise_signal(signal.SIGINT)
        return step()

    run.step = interrupted
    run.run()
    assert run.state.step == 3
    assert trainer(settings, tmp_path / "run", steps=1000).state.step == 3


def test_validation_does_not_depend_on_rows_or_mode(settings, tmp_path):
    run = trainer(settings, tmp_path / "run")
    run.state.network.train()
    first = validate(run.state.network, run.held_out)
    assert run.state.network.training
    assert validate(run.state.network, run.held_out) == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"row_tokens": 48, "scratch": {"layers": 1, "width": 16, "heads": 2, "max_positions": 8}}, "positions"),
        ({"batch_rows": 4, "accumulation": 3}, "does not divide"),
        ({"tokens": []}, "no tokens"),
        ({"scratch": {"width": 20, "heads": 3}}, "multiple of twice the heads"),
        ({"scratch": {"rows": {"knd": "free"}}}, "did you mean 'kind'"),
    ],
)
def test_what_cannot_be_trained_is_rejected(settings, tmp_path, change, message):
    with pytest.raises(TrainConfigError, match=message):
        trainer(settings, tmp_path / "run", **change)


@pytest.mark.parametrize("name", BUNDLED.names)
def test_bundled_configs_are_whole(name):
    config = load_config(name, {"seed": 3})
    assert config.seed == 3
    assert make_config(config.to_dict()) == config


def test_a_config_is_a_difference_to_its_base(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: small\nscratch: {layers: 7}\n")
    config, base = load_config(str(tmp_path / "mine.yaml")), load_config("small")
    assert config == dataclasses.replace(base, scratch=dataclasses.replace(base.scratch, layers=7))
    (tmp_path / "loop.yaml").write_text("base: loop\n")
    with pytest.raises(TrainConfigError, match="its own base"):
        load_config(str(tmp_path / "loop.yaml"))


def test_a_folder_holds_its_config_and_a_resume_logs_what_it_changes(settings, tmp_path):
    trainer(settings, tmp_path / "run", steps=2).run()
    kept = load_config(str(tmp_path / "run" / "config.yaml"))
    assert kept.scratch == make_config(settings).scratch
    assert (kept.steps, kept.tokens) == (2, ())  # where corpora lie is no setting
    rates = {**settings["optimizer"], "learning_rate": 5e-3}
    trainer(settings, tmp_path / "run", steps=3, optimizer=rates).run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (row,) = [row for row in rows if row["event"] == "changed"]
    assert {key: row[key] for key in row if "->" in str(row[key])} == {
        "steps": "2 -> 3",
        "optimizer.learning_rate": "0.01 -> 0.005",
    }
    assert row["step"] == 2
    assert load_config(str(tmp_path / "run" / "config.yaml")).steps == 3


def test_a_run_of_before_a_key_came_to_be_goes_on(settings, tmp_path):
    """What its config does not name has the default; it was refused, where a codec's run went on."""
    trainer(settings, tmp_path / "run", steps=2).run()
    path = tmp_path / "run" / "checkpoints" / "step-00000002" / "state.json"
    saved = json.loads(path.read_text())
    del saved["config"]["scratch"]["max_positions"]
    path.write_text(json.dumps(saved))
    assert trainer(settings, tmp_path / "run", steps=3).state.step == 2
