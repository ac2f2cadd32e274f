"""Every key says what it is; `--print-config` prints what `--config` reads; the page is the one that is generated."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.cli.configuration_page import PAGE, configuration_page
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import HarmonicConfig, MagnitudeConfig
from soundcodec_llmcodec.lm.training import lm_config
from soundcodec_llmcodec.runs.config_files import parse_overrides
from soundcodec_llmcodec.runs.config_keys import commented_yaml, keys_of
from soundcodec_llmcodec.runs.config_values import plain
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train import train_config
from soundcodec_llmcodec.train.loss_names import ABOUT_LOSSES, LOSSES

ROOT = Path(__file__).parents[2]
COMMANDS = {("train",): train_config, ("lm", "train"): lm_config}


@pytest.mark.parametrize(
    "config",
    [train_config.TrainConfig, lm_config.LMTrainConfig, CodecConfig, MagnitudeConfig, HarmonicConfig, LossSchedule],
)
def test_every_key_says_what_it_is(config):
    keys = list(keys_of(config))
    assert [key.path for key in keys if not key.about] == []
    assert len({key.path for key in keys}) == len(keys)
    assert [key.path for key in keys if key.about[0].isspace() or key.about.endswith(".")] == []


def test_every_loss_says_what_it_is():
    assert tuple(ABOUT_LOSSES) == LOSSES


def test_keys_are_those_of_the_config_with_its_defaults():
    keys = {key.path: key.value for key in keys_of(lm_config.LMTrainConfig) if key.section is None}
    leaves = dict(_leaves(plain(lm_config.LMTrainConfig())))
    assert keys.keys() == leaves.keys()
    assert {path: plain(value) for path, value in keys.items()} == leaves
    # A section's defaults are those of the config that it stands in.
    assert keys["optimizer.learning_rate"] == 1e-3


@pytest.mark.parametrize("command", list(COMMANDS))
@pytest.mark.parametrize("changes", [[], ["seed=3", "optimizer.gradient_clip=null", "optimizer.learning_rate=1e-3"]])
def test_what_is_printed_gives_the_same_config(command, changes, tmp_path, capsys):
    """Without data, tokens or a folder, and from outside of any run."""
    module = COMMANDS[command]
    for name in module.BUNDLED.names:
        options = ["--config", name, *(["--set", *changes] if changes else [])]
        assert main([*command, "--print-config", *options]) == 0
        printed = capsys.readouterr().out
        path = tmp_path / f"{name}.yaml"
        path.write_text(printed, encoding="utf-8")
        again = module.load_config(str(path))
        assert again == module.load_config(name, parse_overrides(changes))
        assert plain(again) == yaml.safe_load(printed)


def test_a_codec_of_its_own_keys_is_printed_whole(tmp_path):
    codec = {"preset": "compact", "semantic": None, "decoder_layers": 2, "codebook_partitions": [["speech", 0, 9]]}
    config = train_config.make_config({"codec": codec, "losses": {"mel": 1, "stft": {"weight": 2, "final": 0.5}}})
    path = tmp_path / "config.yaml"
    path.write_text(commented_yaml(config), encoding="utf-8")
    assert train_config.load_config(str(path)) == config


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_run_still_needs_a_folder(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--config", "tiny"])
    assert "required: --out" in capsys.readouterr().err


def test_the_page_is_the_one_that_is_generated():
    """Else: python -m soundcodec_llmcodec.cli.configuration_page."""
    assert (ROOT / PAGE).read_text(encoding="utf-8") == configuration_page()


def _leaves(values, above=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
