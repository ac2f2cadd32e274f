"""Rates follow from sizes, and a config that cannot be built says why."""

from __future__ import annotations

import math

import pytest

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError


def test_published_rates():
    config = CodecConfig.preset("published")
    assert config.frame_rate == 50.0
    assert config.bitrate_bps == pytest.approx(716.1, abs=0.05)
    assert config.stft_padding == 480
    assert config.num_heads == 8
    assert config.context_frames(8) is None


def test_bit_rate_counts_every_level():
    config = CodecConfig(num_quantizers=3, codebook_size=1024)
    assert config.token_rate == 150.0
    assert config.bitrate_bps == 150.0 * math.log2(1024)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (319, 1), (320, 1), (321, 2), (16_000, 50)])
def test_frames_cover_every_sample(samples, frames):
    assert CodecConfig().frames(samples) == frames


def test_context_grows_with_window_kernel_and_layers():
    config = CodecConfig.preset("compact")
    assert config.context_frames(4) == 4 * (32 + 15) + 4


@pytest.mark.parametrize("name", ["published", "compact", "tiny"])
def test_presets_survive_json(name):
    config = CodecConfig.preset(name)
    assert CodecConfig.from_dict(config.to_dict()) == config


def test_domains_are_half_open_ranges():
    config = CodecConfig.preset("published")
    assert config.partition("speech") == (0, 8192)
    assert config.partition("other") == (12288, 20480)
    assert config.partition(None) == (0, 20480)
    with pytest.raises(ValueError, match="speech, vocal, music, audio, other"):
        config.partition("singing")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 100}, "multiple of head_dim"),
        ({"conv_kernel_size": 30}, "odd"),
        ({"codebook_size": 0}, "positive whole number"),
        ({"hop_length": 320.0}, "positive whole number"),
        ({"attention_window": True}, "positive whole number"),
        ({"codebook_partitions": (("speech", 0, 99_999),)}, "outside"),
        ({"n_fft": 1281}, "even"),
    ],
)
def test_impossible_configs_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        CodecConfig(**changes)


def test_unknown_keys_versions_and_presets_are_errors():
    with pytest.raises(ConfigError, match="hop_size"):
        CodecConfig.from_dict({"hop_size": 320})
    with pytest.raises(ConfigError, match="version 9"):
        CodecConfig.from_dict({"config_version": 9})
    with pytest.raises(ConfigError, match="compact"):
        CodecConfig.preset("large")
