"""Training configs: from YAML, bases and the command line, and what is refused."""

from __future__ import annotations

import pytest

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.runs.config_files import parse_override
from soundcodec_llmcodec.runs.config_values import merged
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.train_config import BUNDLED, load_config, make_config


@pytest.mark.parametrize("name", BUNDLED.names)
def test_every_bundled_config_is_one_and_survives_being_written(name):
    config = load_config(name)
    assert make_config(config.to_dict()) == config


def test_command_line_over_yaml_over_base_over_default(tmp_path):
    (tmp_path / "below.yaml").write_text("codec: tiny\nsteps: 10\nbatch_size: 3\nlosses: {mel: 1.0, stft: 2.0}\n")
    (tmp_path / "mine.yaml").write_text("base: below\nsteps: 11\nlosses: {stft: {weight: 3.0, start: 5}}\n")
    over = merged(parse_override("steps=12"), parse_override("losses.mel.weight=4"))
    config = load_config(str(tmp_path / "mine.yaml"), merged(over, parse_override("optimizer.learning_rate=1e-3")))
    assert (config.steps, config.batch_size, config.seed) == (12, 3, 0)
    assert config.losses["stft"].start == 5
    assert config.losses["mel"].weight == 4.0
    assert config.optimizer.learning_rate == 0.001  # YAML 1.1 takes 1e-3 for text
    with pytest.raises(TrainConfigError, match="compact"):
        load_config("no-such-config")


def test_a_base_that_goes_round_is_rejected(tmp_path):
    (tmp_path / "a.yaml").write_text("base: b\n")
    (tmp_path / "b.yaml").write_text("base: a\n")
    with pytest.raises(TrainConfigError, match="its own base"):
        load_config(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz=3", r"unknown key 'stepz'; did you mean 'steps'\?"),
        ("optimizer.learning_rat=1", r"'optimizer.learning_rat'; did you mean 'learning_rate'\?"),
        ("losses.mell=1", r"unknown losses \['mell'\]"),
        ("losses.mel.begin=1", "'losses.mel.begin'"),
        ("losses.mel=-1", "losses.mel: a loss's weight cannot be negative"),
        ("losses=3", "losses takes key: value lines"),
        ("steps=0", "steps must be a positive whole number"),
        ("steps=2.5", "steps must be a whole number"),
        ("steps=[", "not YAML"),
        ("steps", "expected key=value"),
        ("precision=float16", "precision is one of float32, bfloat16, got 'float16'"),
        ("batch_norm=maybe", "batch_norm is one of train, frozen"),
        ("speeds=[3.0]", "speeds must be factors"),
        ("ema_decay=1.0", "ema_decay"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate must be a number"),
        ("optimizer.learning_rate=0", "optimizer: learning_rate must be above zero"),
        ("gain_db=3", "gain_db takes 2 values"),
        ("segment_s=0.02", "at least 0.1 s"),
        ("compile=1", "compile must be true or false"),
        ("accumulation=3", "accumulation 3 does not divide batch_size 16"),
        ("language.bridge.mode=magic", "language.bridge"),
        ("prior.width=7", "prior"),
        ("codec=tiny", "no loss counts: give losses"),
        ("losses.mel=0", "no loss counts: give losses"),
        ("noise.share=2", "noise"),
        ("scales_share=0", "scales_share lies above 0 and up to 1"),
        ("scales_share=1.5", "scales_share lies above 0 and up to 1"),
    ],
)
def test_what_cannot_be_run_is_rejected_by_name(text, message):
    with pytest.raises(TrainConfigError, match=message):
        make_config(parse_override(text))


def test_a_codec_may_be_a_difference_to_a_preset():
    config = make_config({"codec": {"preset": "compact", "semantic": None, "decoder_layers": 2}, "losses": {"mel": 1}})
    codec, compact = config.codec_config, CodecConfig.preset("compact")
    assert codec.semantic is None
    assert codec.decoder_layers == 2
    assert (codec.magnitudes, codec.hidden_size) == (compact.magnitudes, compact.hidden_size)
