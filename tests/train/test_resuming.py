"""A run's folder says under which settings it was, and a resume what it changes of them."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from train_runs import trainer

from soundcodec_llmcodec.checkpoints import CheckpointError
from soundcodec_llmcodec.data import DataError
from soundcodec_llmcodec.lm.backbone import BackboneError
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.resuming import CONFIG, changes
from soundcodec_llmcodec.runs.run_log import read_log
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.codec_trainer import Trainer
from soundcodec_llmcodec.train.train_config import load_config


def test_a_folder_holds_its_config_and_a_resume_logs_what_it_changes(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, steps=1, losses={"mel": LossSchedule(1.0)})
    trainer(config, tmp_path / "run").run()
    assert "changed" not in {row["event"] for row in read_log(tmp_path / "run")}
    again = dataclasses.replace(config, steps=2, losses={"mel": LossSchedule(3.0), "stft": LossSchedule(0.5)})
    trainer(again, tmp_path / "run").run()
    (row,) = [row for row in read_log(tmp_path / "run") if row["event"] == "changed"]
    assert row["step"] == 1
    assert row["steps"] == "1 -> 2"
    assert row["losses.mel.weight"] == "1.0 -> 3.0"
    assert row["losses.stft.weight"] == "None -> 0.5"
    assert not any(key.startswith(("data", "validation", "init")) for key in row)
    kept = load_config(str(tmp_path / "run" / CONFIG))
    assert changes(kept, again) == {}


def test_places_are_no_settings(tiny_config):
    moved = dataclasses.replace(tiny_config, data=("elsewhere",))
    assert changes(tiny_config, moved) == {}


def never(*_, **__):
    pytest.fail("data were decoded")


@pytest.fixture
def undecoded(monkeypatch):
    """Decoding, which takes minutes, fails the test: what is wrong has to be found before."""
    monkeypatch.setattr("soundcodec_llmcodec.train.crops._decode", never)


def test_what_is_wrong_is_found_before_data_are_decoded(tiny_config, tmp_path, undecoded, monkeypatch):
    language = {"losses": {"mel": LossSchedule(1.0), "future_tokens": LossSchedule(1.0)}}
    with pytest.raises(DataError, match="no data set '/not/there'"):
        trainer(tiny_config, tmp_path / "a", validation=("/not/there",))
    with pytest.raises(CheckpointError, match="nothing is at"):
        trainer(tiny_config, tmp_path / "a", init="/not/there/either")
    config = dataclasses.replace(tiny_config, **language)
    with pytest.raises(BackboneError, match="/no/such/llm"):
        Trainer(config_with_model(config, "/no/such/llm"), tmp_path / "a", progress=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        ImportError, match=r"tensorboard, which is not installed: pip install 'soundcodec-llmcodec\[train\]'"
    ):
        trainer(tiny_config, tmp_path / "a", tensorboard=True)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"soundcodec-llmcodec\[lm\]"):
        Trainer(config_with_model(config, "smollm2"), tmp_path / "a", progress=False)


@pytest.mark.parametrize("loss", ["alignment", "contrast"])
def test_alignment_without_texts_is_found_before_data_are_decoded(everything, audio_folder, tmp_path, undecoded, loss):
    aligned = {"data": (str(audio_folder), str(audio_folder)), "losses": {"mel": LossSchedule(1.0)}}
    expected = r"alignment needs texts: no row of \S+, \S+ has one\. Use data with a column 'text', .* or 'sentence'"
    with pytest.raises(TrainConfigError, match=expected):
        trainer(everything, tmp_path, **{**aligned, "losses": {loss: LossSchedule(0.1)}})
    # Without a loss that needs texts, and with one source that has some, decoding begins.
    with pytest.raises(pytest.fail.Exception, match="data were decoded"):
        trainer(everything, tmp_path, **aligned)
    with pytest.raises(pytest.fail.Exception, match="data were decoded"):
        trainer(everything, tmp_path, data=(str(audio_folder), *everything.data), losses={loss: LossSchedule(0.1)})


def test_texts_of_decoded_data_are_those_of_the_cache(everything, audio_folder, tmp_path, monkeypatch):
    plain = {"data": (str(audio_folder),), "losses": {"mel": LossSchedule(1.0)}}
    trainer(everything, tmp_path, **plain)
    monkeypatch.setattr("soundcodec_llmcodec.train.crops.open_dataset", never)
    with pytest.raises(TrainConfigError, match="alignment needs texts: of 4 clips none has one"):
        trainer(everything, tmp_path, **{**plain, "losses": {"alignment": LossSchedule(0.1)}})


def test_another_runs_folder_is_found_before_data_are_decoded(tiny_config, tmp_path, monkeypatch):
    trainer(dataclasses.replace(tiny_config, steps=1), tmp_path / "run").run()
    monkeypatch.setattr("soundcodec_llmcodec.train.crops._decode", never)
    monkeypatch.setattr("soundcodec_llmcodec.train.codec_trainer.open_corpus", never)
    with pytest.raises(TrainConfigError, match="seed was 0, now 5"):
        trainer(dataclasses.replace(tiny_config, seed=5), tmp_path / "run")


def config_with_model(config, name):
    return dataclasses.replace(config, language=dataclasses.replace(config.language, model=name))
