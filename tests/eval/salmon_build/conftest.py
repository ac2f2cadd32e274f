"""Synthetic speakers that say sentences with known word times, and sounds of several kinds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

RATE = 16_000
SENTENCES = ("kids are talking by the door", "dogs are sitting by the door")
EMOTIONS = ("calm", "angry")


def say(text: str, pitch: float, pace: float, seed: int) -> tuple[np.ndarray, list[dict]]:
    """Buzzes of a pitch, one a word, with short pauses in between: samples float32 (S,) and the words' times."""
    draw = np.random.default_rng(seed)
    pieces, words, at = [1e-4 * draw.standard_normal(1600)], [], 0.1
    for word in text.split():
        n = round(pace * (0.12 + 0.03 * len(word)) * RATE)
        t = np.arange(n) / RATE
        buzz = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 9)) * np.hanning(n)
        words.append({"start": at, "end": at + n / RATE, "word": word})
        pieces += [0.2 * buzz + 1e-4 * draw.standard_normal(n), 1e-4 * draw.standard_normal(800)]
        at += n / RATE + 0.05
    samples = np.concatenate(pieces).astype(np.float32)
    return samples * (0.1 + 0.2 * draw.random()), words


def flac(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC")
    return buffer.getvalue()


def speech_rows(speakers: int = 4) -> list[dict]:
    rows = []
    for k in range(speakers):
        for s, text in enumerate(SENTENCES):
            for e, emotion in enumerate(EMOTIONS):
                samples, words = say(text, 90 + 35 * k + 20 * e, 1 + 0.03 * k + 0.05 * e, seed=100 * k + 10 * s + e)
                rows.append(
                    {
                        "id": f"{k}-{s}-{e}",
                        "audio": {"bytes": flac(samples), "path": None},
                        "text": text.upper(),
                        "speaker_id": f"speaker-{k}",
                        "gender": "female" if k % 2 else "male",
                        "emotion": emotion,
                        "words": words,
                    }
                )
    return rows


def sound_rows() -> list[dict]:
    draw = np.random.default_rng(5)
    rows = []
    for kind, tones in (("hum", (60, 90)), ("whistle", (900, 1400))):
        for tone in tones:
            for part in range(2):
                t = np.arange(4 * RATE) / RATE + 4 * part
                samples = 0.1 * np.sin(2 * np.pi * tone * t) + 0.02 * draw.standard_normal(len(t))
                rows.append(
                    {
                        "id": f"{kind}{tone}-{part}",
                        "audio": {"bytes": flac(samples), "path": None},
                        "kind": kind,
                        "license": "CC0",
                    }
                )
    return rows


@pytest.fixture(scope="session")
def speech_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of acted speech: four speakers, two sentences, two emotions; the words' times are a column."""
    folder = tmp_path_factory.mktemp("acted")
    pq.write_table(pa.Table.from_pylist(speech_rows()), folder / "train-00000-of-00001.parquet")
    return folder


@pytest.fixture(scope="session")
def sound_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of sounds: two kinds, two recordings of each, two excerpts of each recording."""
    folder = tmp_path_factory.mktemp("sounds")
    pq.write_table(pa.Table.from_pylist(sound_rows()), folder / "train-00000-of-00001.parquet")
    return folder
