"""A folder of small audio files, good and bad, and a config that trains on it in seconds."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec.train.config import load_config


@pytest.fixture(scope="session")
def audio_folder(tmp_path_factory):
    """Four voiced-like clips of 0.2 to 1.5 s at two rates, and a file that is no audio."""
    folder = tmp_path_factory.mktemp("clips")
    for index, (seconds, rate) in enumerate([(1.5, 16_000), (0.2, 16_000), (1.0, 22_050), (0.7, 16_000)]):
        time = np.arange(int(seconds * rate)) / rate
        pitch = 110.0 * (index + 1) * (1 + 0.02 * np.sin(2 * np.pi * 5 * time))
        wave = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 6))
        soundfile.write(folder / f"clip{index}.wav", 0.2 * wave, rate)
    (folder / "notes.wav").write_text("not audio")
    return folder


@pytest.fixture
def tiny_config(audio_folder):
    """The bundled tiny config on that folder, with its discriminators from step 4 on."""
    return load_config("tiny", {"data": [str(audio_folder)], "steps": 8, "adversarial_start": 4, "log_every": 4})
