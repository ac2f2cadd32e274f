"""Does a codec keep the level? Speech and white noise at several levels, there and back.

    python benchmarks/levels.py DATA[:SPLIT] --codec llmcodec --clips 12

Clips are brought to each rms and clipped at full scale. Printed is the median over clips of the ratio of the decoded
rms to the input's (1 is kept).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soundcodec_llmcodec.audio import mono, resample
from soundcodec_llmcodec.data import open_dataset
from soundcodec_llmcodec.llmcodec import LLMCodec

SPEECH_RMS = (0.01, 0.03, 0.1, 0.3)
NOISE_RMS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", metavar="DATA[:SPLIT]")
    parser.add_argument("--codec", default="llmcodec", help="a name or a checkpoint (default: llmcodec)")
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    codec = LLMCodec.from_pretrained(arguments.codec)
    clips = speech(arguments.data, arguments.clips, codec.sample_rate)
    print(f"{codec.name} {codec.weights_hash[:12]}, {len(clips)} clips of {arguments.data}, spread over the set")
    for level in SPEECH_RMS:
        print(f"speech at rms {level:g}: {statistics.median(ratio(codec, clip, level) for clip in clips):.2f}")
    noise = np.random.default_rng(0).standard_normal(4 * codec.sample_rate)
    for level in NOISE_RMS:
        print(f"white noise at rms {level:g}: {ratio(codec, noise, level):.2f}")


def speech(place: str, count: int, rate: int) -> list[np.ndarray]:
    """Clips (S,) at the codec's rate, evenly spread over a set."""
    rows = list(open_dataset(place).rows())
    clips = [rows[int(index)].clip() for index in np.linspace(0, len(rows) - 1, count)]
    return [resample(mono(clip), clip.sampling_rate, rate) for clip in clips]


def ratio(codec: LLMCodec, clip: np.ndarray, level: float) -> float:
    """The decoded rms by the input's, for a clip (S,) brought to an rms and clipped at full scale."""
    loud = np.clip(clip * (level / np.sqrt(np.mean(np.square(clip)))), -1, 1).astype(np.float32)
    back = codec.decode(codec.encode(loud, codec.sample_rate))
    return float(np.sqrt(np.mean(np.square(back)) / np.mean(np.square(loud))))


if __name__ == "__main__":
    main()
