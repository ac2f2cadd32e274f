"""A run's folder says under which settings it was, and a resume what it changes of them."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from train_runs import assert_equal, trainer

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.data import DataError
from soundcodec_llmcodec.lm.backbone import BackboneError
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.resuming import CONFIG, changes
from soundcodec_llmcodec.runs.run_log import read_log
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.codec_state import saved_config
from soundcodec_llmcodec.train.codec_trainer import Trainer
from soundcodec_llmcodec.train.train_config import load_config
from soundcodec_llmcodec.weights_files import CheckpointError


def test_a_folder_holds_its_config_and_a_resume_logs_what_it_changes(tiny_config, tmp_path, capsys):
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
    # Runs of these tests show no progress, and say this all the same.
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "changed" in line]
    assert line.startswith("llmcodec: changed at step 1: ")
    assert "steps 1 -> 2" in line
    assert "losses.mel.weight 1.0 -> 3.0" in line
    assert not any(key.startswith(("data", "validation", "init")) for key in row)
    kept = load_config(str(tmp_path / "run" / CONFIG))
    assert changes(kept, again) == {}


@pytest.fixture
def other_codec(tiny_config, tmp_path):
    """A folder with another codec of the config's sizes."""
    checkpoints.save(tmp_path / "other", tiny_config.codec_config, CodecModel(tiny_config.codec_config))
    return tmp_path / "other"


def test_another_init_at_a_resume_is_said_to_be_ignored(tiny_config, tmp_path, other_codec, capsys):
    config = dataclasses.replace(tiny_config, steps=1, losses={"mel": LossSchedule(1.0)})
    trainer(config, tmp_path / "run").run()
    went_on = trainer(config, tmp_path / "plain", steps=2).run()
    again = trainer(config, tmp_path / "run", steps=2, init=str(other_codec))
    again.run()
    (row,) = [row for row in read_log(tmp_path / "run") if row["event"] == "warning"]
    assert "init is ignored: the run goes on from step 1 of its own checkpoint" in row["text"]
    assert [line for line in capsys.readouterr().err.splitlines() if row["text"] in line]
    assert_equal(again.state, went_on)
    # What the run began with stays on record, and is what a later resume is compared with.
    assert saved_config(checkpoints_in(again.checkpoints)[-1]).init is None
    trainer(config, tmp_path / "run", steps=3).run()
    assert len([row for row in read_log(tmp_path / "run") if row["event"] == "warning"]) == 1


def test_the_init_that_a_run_began_with_and_none_are_not_warned_of(tiny_config, tmp_path, other_codec):
    config = dataclasses.replace(tiny_config, steps=1, losses={"mel": LossSchedule(1.0)}, init=str(other_codec))
    trainer(config, tmp_path / "run").run()
    trainer(config, tmp_path / "run", steps=2).run()
    again = trainer(config, tmp_path / "run", steps=3, init=None)
    again.run()
    assert "warning" not in {row["event"] for row in read_log(tmp_path / "run")}
    assert saved_config(checkpoints_in(again.checkpoints)[-1]).init == str(other_codec)


@pytest.mark.parametrize("name", ["text_share", "text_coverage"])
def test_what_decides_the_draw_of_texts_stays(everything, tmp_path, name):
    trainer(dataclasses.replace(everything, steps=1), tmp_path / "run").run()
    trainer(dataclasses.replace(everything, steps=2), tmp_path / "run")
    language = dataclasses.replace(everything.language, **{name: 0.25})
    with pytest.raises(TrainConfigError, match=rf"language\.{name} was 0\.5, now 0\.25"):
        trainer(dataclasses.replace(everything, language=language), tmp_path / "run")


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
