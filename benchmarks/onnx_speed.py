"""ONNX exports against PyTorch: onnxruntime's time over torch's for one clip, encoding and decoding, in one run.

    python benchmarks/onnx_speed.py --seconds 4 --rounds 15 [--threads 2] [--published]

Each round runs torch, then onnxruntime, with the same number of threads. The ratio is the median over the rounds of
each round's own ratio, so that a busy machine slows both alike. Samples and codes are at the codec's own rate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from soundcodec_llmcodec import CodecConfig, LLMCodec
from soundcodec_llmcodec.export.agreement import differences, seeded_clip
from soundcodec_llmcodec.export.graph_writing import write_onnx
from soundcodec_llmcodec.export.onnx_codec import OnnxCodec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--published", action="store_true", help="also the published size, with random weights")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    codecs = {"bundled": LLMCodec.from_pretrained()}
    if arguments.published:
        codecs["published size, random weights"] = LLMCodec.random(CodecConfig.preset("published"))
    print(f"{arguments.seconds:g} s, median of {arguments.rounds} alternating rounds, {arguments.threads} threads\n")
    print("| codec | what | torch ms | onnxruntime ms | onnxruntime / torch | agreement |\n" + "| --- " * 6 + "|")
    for name, codec in codecs.items():
        with tempfile.TemporaryDirectory() as scratch:
            write_onnx(codec, Path(scratch) / "onnx")
            compare(name, codec, OnnxCodec(Path(scratch) / "onnx", threads=arguments.threads), arguments)


def compare(name: str, codec: LLMCodec, onnx: OnnxCodec, arguments: argparse.Namespace) -> None:
    clip = seeded_clip(int(arguments.seconds * codec.config.sample_rate), seed=0)
    codes, found = codec.encode_samples(clip), onnx.encode_samples(clip)
    undecided, wrong = differences(codec, clip, found)
    audio = float((codec.decode_codes(codes) - onnx.decode_codes(codes)).abs().max())
    ways: list[tuple[str, str, Callable[[LLMCodec], Any]]] = [
        ("encode", f"{undecided + wrong} of {codes.shape[1]} frames differ", lambda one: one.encode_samples(clip)),
        ("decode", f"audio within {audio:.1e}", lambda one: one.decode_codes(codes)),
    ]
    for what, agreement, work in ways:
        rounds = [(timed(work, codec), timed(work, onnx)) for _ in range(arguments.rounds)]
        theirs, ours = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(b / a for a, b in rounds)
        print(f"| {name} | {what} | {theirs:.1f} | {ours:.1f} | {ratio:.2f} | {agreement} |", flush=True)


def timed(work: Callable[[LLMCodec], Any], codec: LLMCodec) -> float:
    began = time.perf_counter()
    work(codec)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
