"""Streams against whole clips: latency and real-time factor by chunk size, and how close they come.

    python benchmarks/streaming.py [FOLDER_OR_PARQUET[:SPLIT]] --seconds 60 --rounds 3

Times are medians over the rounds, of one thread unless --threads says more. Ids come one by one, samples by 20 ms, as
they would live; a push's time is that of one that runs the model. Real-time factor: computing over audio. With data, it
counts the ids that a streamed encoder has otherwise, and measures streamed decoding against whole decoding: the
signal's power over the difference's, and steps from sample to sample at seams against those of the whole clip there.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from soundcodec_llmcodec import CodecConfig, LLMCodec
from soundcodec_llmcodec.audio import mono, resample
from soundcodec_llmcodec.data import open_dataset

CHUNKS = (1, 5, 10, 25, 50, 100)
LOOKAHEADS = (4, 8, 16, 32, 64, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="speech to measure closeness on; none is measured without")
    parser.add_argument("--checkpoint", default="llmcodec")
    parser.add_argument("--seconds", type=float, default=60, help="length of what is timed")
    parser.add_argument("--rounds", type=int, default=3, help="0 times nothing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clips", type=int, default=10, help="clips of the data to decode, spread over them")
    parser.add_argument("--encode-clips", type=int, default=40, help="clips of the data to encode, spread over them")
    parser.add_argument("--published", action="store_true", help="also time the published size, with random weights")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    codec = LLMCodec.from_pretrained(arguments.checkpoint)
    if arguments.rounds:
        time_codec("bundled" if arguments.checkpoint == "llmcodec" else arguments.checkpoint, codec, arguments)
    if arguments.rounds and arguments.published:
        published = LLMCodec.random(CodecConfig.preset("published"))
        time_codec("published size, random weights", published, arguments)
    if arguments.data:
        clips = read(arguments.data, codec.config.sample_rate)
        if codec.config.attention_window is not None:
            compare_encoders(codec, clips[:: max(1, len(clips) // arguments.encode_clips)])
        some = clips[:: max(1, len(clips) // arguments.clips)]
        compare_decoders("the codec", codec, some)
        if codec.config.attention_window is not None:
            compare_decoders("its weights with whole-clip attention", unbounded(codec), some)


def read(data: str, rate: int) -> list[np.ndarray]:
    clips = [item.clip() for item in open_dataset(data).rows()]
    return [resample(mono(clip), clip.sampling_rate, rate) for clip in clips]


def unbounded(codec: LLMCodec) -> LLMCodec:
    random = LLMCodec.random(CodecConfig.from_dict({**codec.config.to_dict(), "attention_window": None}))
    random.model.load_state_dict(codec.model.state_dict())
    return random


# time
def time_codec(label: str, codec: LLMCodec, arguments: argparse.Namespace) -> None:
    config, rounds = codec.config, arguments.rounds
    draw = np.random.default_rng(0)
    frames = int(arguments.seconds * config.frame_rate)
    ids = torch.from_numpy(draw.integers(0, config.codebook_size, (config.num_quantizers, frames)))
    clip = (0.1 * draw.standard_normal(frames * config.hop_length)).astype(np.float32)
    seconds = frames / config.frame_rate
    print(f"\n{label}: {seconds:g} s, median of {rounds}, {torch.get_num_threads()} threads")
    print("| way | chunk, frames | look-ahead | latency s | ms a run | RTF | times whole |\n" + "| --- " * 7 + "|")
    whole = median_time(rounds, lambda: codec.decode(ids))
    print(f"| decode, whole | - | - | - | - | {whole / seconds:.4f} | 1 |", flush=True)
    ways = ((None, CHUNKS), (64, (5, 10, 25, 50)), (16, (5, 10, 25)))
    for lookahead, chunks in ways if config.attention_window is not None else ((64, (25, 50, 100)),):
        for chunk in chunks:
            stream = codec.stream_decoder(chunk_frames=chunk, lookahead_frames=lookahead)
            name = "decoder, exact" if stream.exact else "decoder, windows"
            time_stream(name, stream, ids.split(1, dim=1), rounds, seconds, whole)
    if config.attention_window is None:
        return
    whole = median_time(rounds, lambda: codec.encode(clip, config.sample_rate))
    print(f"| encode, whole | - | - | - | - | {whole / seconds:.4f} | 1 |", flush=True)
    for chunk in CHUNKS:
        stream = codec.stream_encoder(config.sample_rate, chunk_frames=chunk)
        time_stream("encoder", stream, np.split(clip, frames), rounds, seconds, whole)


def time_stream(name: str, stream: Any, parts: Iterable[Any], rounds: int, seconds: float, whole: float) -> None:
    totals, runs = [], []
    for _ in range(rounds):
        stream.reset()
        pushes = []
        for part in parts:
            began = time.perf_counter()
            out = stream.push(part)
            pushes.append((time.perf_counter() - began, len(out)))
        began = time.perf_counter()
        stream.flush()
        totals.append(sum(took for took, _ in pushes) + time.perf_counter() - began)
        # Until the look-ahead is full the model does less in a run.
        runs.append(statistics.median([took for took, given in pushes if given] or [float("nan")]))
    total = statistics.median(totals)
    print(
        f"| {name} | {stream.chunk_frames} | {stream.lookahead_frames} | {stream.latency_s:.2f} "
        f"| {1000 * statistics.median(runs):.1f} | {total / seconds:.4f} | {total / whole:.1f} |",
        flush=True,
    )


def median_time(rounds: int, work: Callable[[], Any]) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


# closeness
def compare_encoders(codec: LLMCodec, clips: list[np.ndarray]) -> None:
    differ = total = 0
    draw = np.random.default_rng(0)
    for clip in clips:
        whole = codec.encode(clip, codec.config.sample_rate).unit
        for chunk in (7, 25):
            stream = codec.stream_encoder(codec.config.sample_rate, chunk_frames=chunk)
            parts = np.split(clip, np.sort(draw.integers(0, len(clip), 20)))
            streamed = torch.cat([*(stream.push(part) for part in parts), stream.flush()], dim=-1)
            differ, total = differ + int((streamed != whole).sum()), total + whole.numel()
    print(f"\nencoder: {differ} of {total} ids differ from the whole clip's ({len(clips)} clips, random cuts)")


def compare_decoders(label: str, codec: LLMCodec, clips: list[np.ndarray]) -> None:
    pairs = [(ids, codec.decode(ids)) for ids in (codec.encode(clip, codec.config.sample_rate).unit for clip in clips)]
    print(f"\n{label}: {len(clips)} clips of speech, chunks of 25 frames")
    print(
        "| look-ahead, frames | latency s | median dB | worst dB | largest difference "
        "| largest step at seams / elsewhere",
        end=" ",
    )
    print("| mean step at seams / whole clip's |\n" + "| --- " * 7 + "|")
    for lookahead in (*LOOKAHEADS, None):
        if lookahead is None and codec.config.attention_window is None:
            continue
        stream = codec.stream_decoder(lookahead_frames=lookahead)
        rows = []
        for ids, whole in pairs:
            stream.reset()
            rows.append(closeness(whole, np.concatenate([stream.push(ids), stream.flush()]), codec.config.hop_length))
        decibels, differences, seams, elsewhere, whole_seams = zip(*rows, strict=True)
        # A clip of one chunk has no seam.
        largest = max(at.max() / other for at, other in zip(seams, elsewhere, strict=True) if len(at))
        print(
            f"| {stream.lookahead_frames} | {stream.latency_s:.2f} | {np.median(decibels):.1f} | {min(decibels):.1f} "
            f"| {max(differences):.1e} | {largest:.2f} "
            f"| {np.concatenate(seams).mean() / np.concatenate(whole_seams).mean():.2f} |",
            flush=True,
        )


def closeness(whole: np.ndarray, streamed: np.ndarray, hop: int) -> tuple:
    """(dB, largest difference, steps at seams, the largest step elsewhere, the whole clip's steps at seams)."""
    difference = streamed - whole
    decibels = 10 * np.log10(np.square(whole).sum() / np.square(difference).sum())
    steps, whole_steps = np.abs(np.diff(streamed)), np.abs(np.diff(whole))
    seams = np.arange(25 * hop - 1, len(steps), 25 * hop)
    return decibels, np.abs(difference).max(), steps[seams], np.delete(steps, seams).max(), whole_steps[seams]


if __name__ == "__main__":
    main()
