"""Four small clips to train and cluster on."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile


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
