"""Experiments as YAML, smaller codebooks, and the stages of a row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import run_tradeoff
from experiments.tradeoff.shrink import clustered, latents_of, shrink
from experiments.tradeoff.stages import StagePlace, stages
from experiments.tradeoff.tradeoff_rows import ExperimentError, read_experiment
from soundcodec_llmcodec import LLMCodec, checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.crops import open_corpus
from soundcodec_llmcodec.train.train_config import make_config

TRADEOFF = Path(run_tradeoff.__file__).parent / "tradeoff.yaml"


def test_every_row_of_the_release_is_a_config_that_trains():
    """No key is misspelt, all rows share what must be equal, and a row differs from the baseline in its own way."""
    experiment = read_experiment(TRADEOFF)
    configs = {row.name: make_config(experiment.training(row)) for row in experiment.rows}
    base = configs["base"]
    for name, config in configs.items():
        assert (config.steps, config.optimizer) == (base.steps, base.optimizer), name
        assert config.seed == base.seed or "-seed" in name, name
        assert all(config.losses[loss] == schedule for loss, schedule in base.losses.items()), name
        family = experiment.named([name])[0].family
        assert (config == base) == (family == "control"), name
    different = [config for config in configs.values() if config != base]
    assert all(one != other for i, one in enumerate(different) for other in different[:i])
    assert {row.codebook for row in experiment.rows if row.family == "control"} == {None, 4096, 1024, 256}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rows: [{name: a, family: f}]\ncommon: {}\nlm: {steps: 1}", "baseline 'base' is none of the rows"),
        ("rows: [{name: base, family: f}, {name: base, family: f}]\ncommon: {}\nlm: {}", "given twice: base"),
        ("rows: [{name: base, family: f, use: [x]}]\ncommon: {}\nlm: {steps: 1}", "unknown settings x"),
        ("rows: [{name: base, famly: f}]\ncommon: {}\nlm: {}", "did you mean 'family'"),
        ("common: {}", "should hold"),
        (
            "rows: [{name: base, family: f}, {name: cache, family: f}]\ncommon: {}\nlm: {steps: 1}",
            "cannot be called cache",
        ),
        ("rows: [{name: base, family: f}]\ncommon: {}\nlm: {}", "lm.steps"),
        ("rows: [{name: base, family: f, start: b}]\ncommon: {}\nlm: {steps: 1}", "base starts from 'b'"),
        ("rows: [{name: base, family: f, start: base}]\ncommon: {}\nlm: {steps: 1}", "which is no other row"),
    ],
)
def test_experiments_that_cannot_run_are_refused(tmp_path, text, why):
    path = tmp_path / "experiment.yaml"
    path.write_text(text)
    with pytest.raises((ExperimentError, TrainConfigError), match=why):
        read_experiment(path)


def test_a_wrong_key_in_any_row_is_found_before_anything_runs(tmp_path):
    path = tmp_path / "experiment.yaml"
    text = "common: {base: tiny}\nlm: {base: tiny, steps: 1}\n"
    text += "rows:\n  - {name: base, family: f}\n"
    path.write_text(text)
    read_experiment(path).check()
    path.write_text(text + "  - {name: other, family: f, set: {stepz: 3}}\n")
    with pytest.raises(TrainConfigError, match="steps"):
        read_experiment(path).check()


def test_rows_that_are_not_there_are_named():
    with pytest.raises(ExperimentError, match="no rows x"):
        read_experiment(TRADEOFF).named(["base", "x"])


def test_clusters_lie_where_latents_point():
    """Three bundles of directions of other lengths: each code is the mean of one bundle."""
    draw = np.random.default_rng(0)
    centres = np.eye(8)[:3] * [[1.0], [2.0], [3.0]]
    latents = (centres[draw.integers(0, 3, 600)] + 0.01 * draw.standard_normal((600, 8))).astype(np.float32)
    found = clustered(latents, 3)
    order = found.argmax(axis=1).argsort()
    np.testing.assert_allclose(found[order], centres, atol=0.02)
    with pytest.raises(ValueError, match="at least as many latents, got 600"):
        clustered(latents, 601)


def test_a_smaller_codebook_changes_nothing_else(midpoint, audio_folder, tmp_path):
    before = checkpoints.load(midpoint)
    corpus = open_corpus([str(audio_folder)], 16_000, tmp_path / "cache")
    latents = latents_of(before.model, corpus, 120)
    assert latents.shape == (120, before.config.codebook_dim)
    folder = shrink(str(midpoint), corpus, 16, tmp_path / "small", latents=120)
    after = checkpoints.load(folder)
    assert after.config.codebook_size == 16
    was, now = before.model.state_dict(), after.model.state_dict()
    changed = [name for name in was if was[name].shape != now[name].shape or not torch.equal(was[name], now[name])]
    assert [name.rsplit(".", 2)[-2:] for name in changed] == [["_codebook", "weight"]]
    codes = LLMCodec.from_pretrained(folder).encode(str(audio_folder / "clip0.wav")).unit
    assert codes.max() < 16


def test_a_midpoint_has_to_have_what_rows_go_on_from(midpoint, tmp_path):
    bundle = midpoint.parent / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_text(json.dumps({"parts": {"model": [], "average": []}}))
    (bundle / "bundle.safetensors").write_bytes(b"weights")
    experiment = read_experiment(TRADEOFF)
    place = StagePlace("speech", midpoint.parent, tmp_path / "out")
    list(stages(experiment, experiment.named(["base"])[0], place))
    with pytest.raises(ExperimentError, match="goes on from a midpoint's prior"):
        list(stages(experiment, experiment.named(["prior-3"])[0], place))


def test_stages_of_a_row_with_fewer_codes_start_from_these(midpoint, tmp_path):
    experiment = read_experiment(TRADEOFF)
    (row,) = experiment.named(["base-256"])
    place = StagePlace("speech", midpoint.parent, tmp_path / "out")
    found = {stage.name: stage for stage in stages(experiment, row, place)}
    assert list(found) == [
        "shrink", "train", "tokenize-train", "tokenize-validation", "lm", "predict", "reconstruct"
    ]  # fmt: skip
    config = found["train"].settings[1]
    assert config["init"] == str(tmp_path / "out" / "base-256" / "init")
    assert config["codec"]["codebook_size"] == 256
    assert make_config(config).codec_config.codebook_size == 256


@pytest.mark.parametrize("name", ["base", "base-256"])
def test_rows_of_another_midpoint_are_other_rows(midpoint, tmp_path, name):
    """Retrained in its place, with the same path and config: only the weights tell."""
    bundle = midpoint.parent / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_text(json.dumps({"parts": {}}))
    (bundle / "bundle.safetensors").write_bytes(b"weights")
    (row,) = read_experiment(TRADEOFF).named([name])
    place = StagePlace("speech", midpoint.parent, tmp_path / "out")

    def first() -> str:
        return next(iter(stages(read_experiment(TRADEOFF), row, place))).digest("")

    before = first()
    assert before == first()
    (bundle / "bundle.safetensors").write_bytes(b"others")
    config = CodecConfig.preset("tiny")
    torch.manual_seed(1)
    checkpoints.save(midpoint, config, CodecModel(config))
    assert before != first()


def test_fewer_codes_and_an_objective_over_all_of_them_are_refused(midpoint, tmp_path):
    experiment = read_experiment(TRADEOFF)
    (row,) = experiment.named(["prior-1"])
    place = StagePlace("speech", midpoint.parent, tmp_path / "out")
    with pytest.raises(ExperimentError, match="take `codebook` out"):
        list(stages(experiment, replace(row, codebook=256), place))


def test_a_midpoint_that_was_not_exported_is_told(tmp_path):
    experiment = read_experiment(TRADEOFF)
    with pytest.raises(ExperimentError, match="holds neither a codec nor a bundle: export one there"):
        list(stages(experiment, experiment.named(["base"])[0], StagePlace("speech", tmp_path, tmp_path / "out")))
