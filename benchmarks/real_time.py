"""How many times real time a codec codes clips there and back, by length: one clip at a time, samples at its own rate.

    python benchmarks/real_time.py llmcodec "llmcodec?optimize=bf16-decoder" --seconds 4 10 60 --threads 2

Medians of the rounds, after one that is not counted. Noise: what the samples hold costs nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soundcodec_llmcodec.llmcodec import LLMCodec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("codecs", nargs="+", metavar="CODEC[?optimize=HOW]")
    parser.add_argument("--seconds", nargs="+", type=float, default=[4.0, 10.0, 60.0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| codec | seconds | encode s | decode s | times real time |\n| --- | --- | --- | --- | --- |")
    for name in arguments.codecs:
        source, _, optimize = name.partition("?optimize=")
        codec = LLMCodec.from_pretrained(source, optimize=optimize or None)
        for seconds in arguments.seconds:
            encode, decode = times(codec, seconds, arguments.rounds)
            print(f"| {name} | {seconds:g} | {encode:.3f} | {decode:.3f} | {seconds / (encode + decode):.1f} |")


def times(codec: LLMCodec, seconds: float, rounds: int) -> tuple[float, float]:
    """Median seconds of encoding and of decoding a clip."""
    clip = 0.1 * torch.randn(int(seconds * codec.sample_rate), generator=torch.Generator().manual_seed(0))
    codes = codec.encode_samples(clip)
    codec.decode_codes(codes)
    encoding, decoding = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        codec.encode_samples(clip)
        middle = time.perf_counter()
        codec.decode_codes(codes)
        encoding.append(middle - start)
        decoding.append(time.perf_counter() - middle)
    return statistics.median(encoding), statistics.median(decoding)


if __name__ == "__main__":
    main()
