"""Seconds per clip pair of Codec-SUPERB's six metrics: ours against Codec-SUPERB's own code, on the same pairs.

    python benchmarks/metric_speed.py --pairs PAIRS --upstream ../Codec-SUPERB

--pairs takes folders with `reconstructions/<codec>/<clip>.flac` beside a data set; without it the pairs are the mini
set and its clips at 8 kHz and back. --upstream is a checkout of Codec-SUPERB whose SoundCodec.metrics can be imported
here (it needs descript-audiotools and torchmetrics); without it, ours is compared with a plain loop over the packages.
Rounds alternate between all ways; the fastest round of each counts, for it is the one that was disturbed least. CPU
time, of the ways that use no other process, is disturbed less still.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from eval.harness import corpora
from eval.reconstruction.metrics import SUPERB_NAMES
from eval.reconstruction.scoring import Job, Scorer, score

FLOOR = ("superb:pesq", "superb:stoi")


@dataclass(frozen=True)
class Pair:
    """A reference and a reconstruction: float32 (S,) each, of one length, at `rate` Hz."""

    clip: str
    codec: str
    reference: np.ndarray
    estimate: np.ndarray
    rate: int


@dataclass(frozen=True)
class Cost:
    """Seconds a pair: by the clock, and of this process's CPU time (little where other processes do the work)."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{1000 * self.wall:8.1f} ms {1000 * self.cpu:8.1f} ms CPU"


Way = Callable[[Sequence[Pair]], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, nargs="+", default=[])
    parser.add_argument("--upstream", type=Path, help="a checkout of Codec-SUPERB")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    pairs = [pair for folder in arguments.pairs for pair in pairs_in(folder)] or mini_pairs()
    seconds = statistics.mean(len(pair.reference) / pair.rate for pair in pairs)
    print(
        f"{len(pairs)} pairs of {seconds:.2f} s on average; {os.cpu_count()} cores; best of {arguments.rounds} rounds"
    )
    workers = arguments.workers
    with contextlib.ExitStack() as stack:
        scorer = stack.enter_context(Scorer(workers))
        ways: dict[str, Way] = {}
        if arguments.upstream:
            ways |= upstream_ways(arguments.upstream.resolve(), workers, stack)
        else:
            print("no --upstream given: 'plain' is a sequential loop of the same six metrics by their packages")
            ways["plain, in a loop"] = lambda pairs: [plain(pair) for pair in pairs]
        first = next(iter(ways))
        ours = f"ours, {workers} processes"
        alone, floor = "ours, 1 process", f"floor (PESQ and STOI), {workers} processes"
        ways |= {
            ours: lambda pairs: list(scorer.map(jobs(pairs))),
            alone: in_process,
            f"{alone}, every pair by itself": lambda pairs: [in_process([pair]) for pair in pairs],
            floor: lambda pairs: list(scorer.map(jobs(pairs, FLOOR))),
            "floor (PESQ and STOI), 1 process": lambda pairs: in_process(pairs, FLOOR),
            "PESQ, 1 process": lambda pairs: in_process(pairs, FLOOR[:1]),
        }
        measured = measure(ways, pairs, arguments.rounds)
        for name, cost in measured.items():
            print(f"{cost}  {name}  ({cost.wall / measured[ours].wall:.2f} x ours)")
        print(f"{ours}: {measured[first].wall / measured[ours].wall:.1f} times as fast as {first}")
        print(f"PESQ and STOI alone are {measured[floor].wall / measured[ours].wall:.0%} of its time")
        scaling(pairs, scorer, workers, arguments.rounds)


def jobs(pairs: Sequence[Pair], metrics: Sequence[str] = SUPERB_NAMES) -> list[Job]:
    """The pairs as jobs, one a clip, as a run of the harness has them."""
    by_clip: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_clip.setdefault(pair.clip, []).append(pair)
    return [
        Job(group[0].reference, group[0].rate, {pair.codec: pair.estimate for pair in group}, tuple(metrics))
        for group in by_clip.values()
    ]


def in_process(pairs: Sequence[Pair], metrics: Sequence[str] = SUPERB_NAMES) -> None:
    for job in jobs(pairs, metrics):
        score(job)


def measure(ways: dict[str, Way], pairs: Sequence[Pair], rounds: int) -> dict[str, Cost]:
    """The cost of a pair, after a first call of each way on a few pairs that is not counted."""
    for way in ways.values():
        way(pairs[:4])
    best = dict.fromkeys(ways, Cost(math.inf, math.inf))
    for _ in range(rounds):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way(pairs)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = Cost(min(best[name].wall, wall / len(pairs)), min(best[name].cpu, cpu / len(pairs)))
    return best


def scaling(pairs: Sequence[Pair], scorer: Scorer, workers: int, rounds: int) -> None:
    """Cost against the number of clips (one codec), and of codecs a clip."""
    clips = list({pair.clip: pair for pair in pairs}.values())
    together = {"": lambda pairs: list(scorer.map(jobs(pairs)))}
    for copies in (1, 2, 4, 8):
        more = [replace(pair, clip=f"{pair.clip} {copy}") for pair in clips for copy in range(copies)]
        cost = measure(together, more, rounds)[""]
        print(f"{cost}  a clip of {len(more)}, one codec, {workers} processes")
    for codecs in (1, 2, 4, 8):
        more = [replace(pair, codec=f"{codec}") for pair in clips for codec in range(codecs)]
        cost = measure({"": in_process}, more, rounds)[""]
        print(f"{cost}  a pair, {codecs} codecs a clip, 1 process")


def pairs_in(folder: Path) -> list[Pair]:
    corpus = corpora.load(str(folder))
    pairs = []
    for clip in (clip for split in corpus.splits for clip in corpus.clips(split)):
        for file in sorted((folder / "reconstructions").glob(f"*/{clip.clip_id}.flac")):
            estimate, _ = soundfile.read(file, dtype="float32")
            longest = max(len(clip.samples), len(estimate))
            reference, estimate = (np.pad(x, (0, longest - len(x))) for x in (clip.samples, estimate))
            pairs.append(Pair(clip.clip_id, file.parent.name, reference, estimate, clip.rate))
    return pairs


def mini_pairs() -> list[Pair]:
    mini = corpora.load(corpora.MINI)
    pairs = []
    for clip in (clip for split in mini.splits for clip in mini.clips(split)):
        back = soxr.resample(soxr.resample(clip.samples, clip.rate, 8_000), 8_000, clip.rate)
        estimate = np.pad(back, (0, max(0, len(clip.samples) - len(back))))[: len(clip.samples)]
        pairs.append(Pair(clip.clip_id, "8 kHz", clip.samples, estimate, clip.rate))
    return pairs


def upstream_ways(checkout: Path, workers: int, stack: contextlib.ExitStack) -> dict[str, Way]:
    """Codec-SUPERB's get_metrics called one after another, and in processes of one thread as its script does."""
    prepare_upstream(checkout)
    import torch

    threads = torch.get_num_threads()

    def loop(pairs: Sequence[Pair], n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        for pair in pairs:
            upstream(pair)

    context = multiprocessing.get_context("spawn")
    pool = stack.enter_context(ProcessPoolExecutor(workers, context, prepare_upstream, (checkout, 1)))
    return {
        f"upstream's get_metrics, in a loop ({threads} threads)": lambda pairs: loop(pairs, threads),
        "upstream's get_metrics, in a loop (1 thread)": lambda pairs: loop(pairs, 1),
        f"upstream's get_metrics, {workers} processes": lambda pairs: list(pool.map(upstream, pairs)),
    }


def prepare_upstream(checkout: Path, threads: int | None = None) -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(checkout))
    import SoundCodec.metrics  # noqa: F401


def upstream(pair: Pair) -> dict[str, float]:
    from audiotools import AudioSignal
    from SoundCodec.metrics import get_metrics

    return get_metrics(AudioSignal(pair.reference, pair.rate), AudioSignal(pair.estimate, pair.rate))


def plain(pair: Pair) -> dict[str, float]:
    """The six metrics as someone writes them down who calls one package after the other."""
    import librosa
    import parselmouth
    import pesq
    import pystoi

    both = (pair.reference, pair.estimate)
    values = {"waveform": float(np.abs(both[0] - both[1]).mean()), "mel": 0.0, "stft": 0.0}
    for bands, window in ((150, 2048), (80, 512)):
        spectra = [np.abs(librosa.stft(x, n_fft=window, hop_length=window // 4, pad_mode="reflect")) for x in both]
        basis = librosa.filters.mel(sr=pair.rate, n_fft=window, n_mels=bands)
        for name, (a, b) in (("stft", spectra), ("mel", [basis @ spectrum for spectrum in spectra])):
            logs = [np.log10(np.maximum(m, 1e-5) ** 2) for m in (a, b)]
            values[name] += float(np.abs(logs[0] - logs[1]).mean() + np.abs(a - b).mean())
    at_16k = [soxr.resample(x, pair.rate, 16_000) for x in both]
    with contextlib.suppress(pesq.PesqError):
        values["pesq"] = pesq.pesq(16_000, *at_16k, "wb")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values["stoi"] = pystoi.stoi(*both, pair.rate)
    contours = []
    for x in both:
        sound = parselmouth.Sound(x, 22_050)
        hertz = sound.to_pitch_ac(256 / 22_050, 50, voicing_threshold=0.6, pitch_ceiling=1100).selected_array[
            "frequency"
        ]
        contours.append(1200 * np.log2(hertz[hertz > 0] / 440))
    if min(map(len, contours)) > 1:
        _, path = librosa.sequence.dtw(*(cents - np.median(cents) for cents in contours))
        values["f0corr"] = float(np.corrcoef(contours[0][path[:, 0]], contours[1][path[:, 1]])[0, 1])
    return values


if __name__ == "__main__":
    main()
