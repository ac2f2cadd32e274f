"""Four small clips to train and cluster on, and a codec that rows start from."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel


@pytest.fixture(scope="session")
def audio_folder(tmp_path_factory):
    """Gliding tones of one to two seconds."""
    folder = tmp_path_factory.mktemp("clips")
    for index in range(4):
        time = np.arange(16_000 + 4_000 * index) / 16_000
        pitch = 110.0 * (index + 1) * (1 + 0.1 * time)
        wave = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 6))
        soundfile.write(folder / f"clip{index}.wav", 0.2 * wave, 16_000)
    return folder


@pytest.fixture
def midpoint(tmp_path):
    """A tiny codec as a run exports it."""
    torch.manual_seed(0)
    config = CodecConfig.preset("tiny")
    checkpoints.save(tmp_path / "midpoint" / "codec", config, CodecModel(config))
    return tmp_path / "midpoint" / "codec"
