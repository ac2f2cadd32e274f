"""A folder of small audio files, good and bad, and configs that train on it in seconds."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from soundcodec_llmcodec.train.train_config import load_config


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


@pytest.fixture(scope="session")
def text_folder(audio_folder, tmp_path_factory):
    """The same clips as parquet, three of them with texts."""
    rows = [
        {"id": f"clip{i}", "audio": {"bytes": (audio_folder / f"clip{i}.wav").read_bytes(), "path": None}, "text": text}
        for i, text in enumerate(["one two", "three", None, "four five six"])
    ]
    folder = tmp_path_factory.mktemp("texts")
    pq.write_table(pa.Table.from_pylist(rows), folder / "train-00000-of-00001.parquet")
    return folder


@pytest.fixture
def tiny_config(audio_folder):
    """The bundled tiny config on that folder, with its discriminators from step 4 on."""
    return tiny(audio_folder, {"adversarial": {"start": 4, "ramp": 2}, "feature_matching": {"start": 4, "ramp": 2}})


@pytest.fixture
def everything(text_folder):
    """A run of 8 steps with every part switched on, each from a step of its own."""
    losses = {
        "log_mel": {"weight": 1.0, "final": 0.5, "decay": 4},
        "scale_mel": 0.5,
        "loudness": 1.0,
        "complex_stft": 0.5,
        "adversarial": {"start": 3, "ramp": 2},
        "feature_matching": {"start": 3, "ramp": 2},
        "bridge": 0.1,
        "future_tokens": {"weight": 0.2, "start": 2, "ramp": 2},
        "alignment": {"weight": 0.1, "start": 2},
        "contrast": {"weight": 0.1, "start": 3},
        "prior": {"weight": 0.1, "start": 1},
    }
    return tiny(
        text_folder,
        losses,
        speeds=[0.9, 1.0, 1.1],
        phase_jitter=24,
        segment_s=0.8,
        scales_share=0.5,
        noise={"share": 0.2},
        revival={"every": 3, "window": 4, "threshold": 0.5},
        adversary={
            "discriminators": {"kinds": ["period", "scale", "stft"], "channels": 2, "stft_channels": 2},
            "lead": 1,
            "r1_every": 2,
        },
        prior={"layers": 1, "width": 16, "heads": 2},
        language={
            "text_coverage": 0.5,
            "text_share": 0.5,
            "bridge": {"logits": "codebook", "temperature_steps": 6},
            "future_heads": 2,
        },
    )


def tiny(folder, losses, **changes):
    values = {"data": [str(folder)], "steps": 8, "log_every": 4, "losses": losses, **json.loads(json.dumps(changes))}
    return load_config("tiny", values)
