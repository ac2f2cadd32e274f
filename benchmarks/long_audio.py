"""Time and memory of coding long audio there and back: each duration in a fresh process.

    python benchmarks/long_audio.py --minutes 1 10 60

The clip is noise at 48 kHz stereo in a WAV file; memory is the peak above what the loaded codec takes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 48_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 10, 60])
    parser.add_argument("--checkpoint", default="llmcodec")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one, arguments.checkpoint)
        return
    print("| minutes | encode s | decode s | encode peak MiB | decode peak MiB |\n| --- | --- | --- | --- | --- |")
    for minutes in arguments.minutes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "noise.wav"
            write_noise(path, int(60 * minutes * RATE))
            command = [sys.executable, __file__, "--one", str(path), "--checkpoint", arguments.checkpoint]
            row = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"| {minutes:g} | {row} |", flush=True)


def write_noise(path: Path, n_samples: int) -> None:
    draw = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_16") as file:
        for start in range(0, n_samples, RATE):
            file.write(0.1 * draw.standard_normal((min(RATE, n_samples - start), 2)))


def measure(path: Path, checkpoint: str) -> None:
    from soundcodec_llmcodec import LLMCodec

    codec = LLMCodec.from_pretrained(checkpoint)
    codec.decode(codec.encode(np.zeros(RATE), RATE))
    loaded = peak_mib()
    began = time.perf_counter()
    tokens = codec.encode(path)
    encoded, encode_peak = time.perf_counter(), peak_mib()
    audio = codec.decode(tokens)
    decoded = time.perf_counter()
    assert len(audio) == tokens.n_samples
    print(f"{encoded - began:.1f} | {decoded - encoded:.1f} | {encode_peak - loaded:.0f} | {peak_mib() - loaded:.0f}")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
