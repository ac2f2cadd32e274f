"""The codec against PyPI's auv with the same weights, in one run: one clip, many clips, long clips, cost and memory.

    python benchmarks/codec_speed.py --rounds 7 --output benchmarks/codec_speed

writes OUTPUT.json, OUTPUT.md and OUTPUT.png, and prints the table. The preset `published` with random weights:
arithmetic costs the same whatever the weights are. Each figure is a median over rounds in which the ways take turns,
after a round that is not counted; of what takes minutes there are fewer rounds. The floor is the time that the products
alone would take at the rate of large products (2048 cubed) measured in the same run: for float32 by oneDNN (auv runs on
MKL's), and for bfloat16. --quick takes cost by length from OUTPUT.json, of the last whole run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import auv_peer
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.linear import linear

CONFIG = CodecConfig.preset("published")
RATE, HOP = CONFIG.sample_rate, CONFIG.hop_length
AUV, FLOAT, BF16 = "auv", "ours", "ours, bf16"
LENGTHS_S = (1, 4, 15, 60, 240, 600)
Ways = Mapping[str, Callable[[], Any]]


def main() -> None:
    arguments = _parsed()
    if arguments.memory:
        print(json.dumps(memory(*arguments.memory)))
        return
    torch.set_num_threads(arguments.threads)
    peer, codec, fast = made()
    rates = measured_rates()
    rows = [*single(peer, codec, fast, arguments.rounds), *many(peer, codec, fast, 2)]
    kept = arguments.output.with_suffix(".json")
    if arguments.quick:
        curve = json.loads(kept.read_text())["curve"] if kept.is_file() else []
    else:
        curve = by_length(peer, codec, fast, arguments.rounds)
    rows += [row for row in curve if row["seconds"] in (240, 600)]
    for row in rows:
        row.setdefault("gflops", rates)
    found = {
        "machine": f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}",
        "gflops": rates,
        "rows": rows,
        "curve": curve,
        "memory_mib": memories(),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
    text = table(found)
    arguments.output.with_suffix(".md").write_text(text)
    print(text)
    if curve:
        plot(found, arguments.output.with_suffix(".png"))


def made() -> tuple[Any, LLMCodec, LLMCodec]:
    """auv, our codec and our codec in bfloat16, all with the same weights."""
    peer, model = auv_peer.pair(CONFIG)
    return peer, LLMCodec(CONFIG, model), LLMCodec(CONFIG, model, optimize="bf16")


def sound(seconds: float, seed: int = 0) -> Tensor:
    """Noise (S,): what it holds costs nothing."""
    return 0.3 * torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(seed))


# What is timed
def single(peer: Any, codec: LLMCodec, fast: LLMCodec, rounds: int) -> list[dict[str, Any]]:
    """A clip of 4 s: encode and decode, and whether results are equal."""
    samples = sound(4)
    with torch.no_grad():
        theirs = peer.tokenizer(samples[None])
        audio = peer.token2wav(theirs["quantized"])[0, 0]
    codes = codec.encode_samples(samples)
    assert torch.equal(codes[0], theirs["tokens"][0, 0]), "tokens are not auv's: times would say nothing"
    apart = float((codec.decode_codes(codes) - audio).abs().max())
    assert apart < 1e-4, f"audio is {apart} from auv's"
    encode: Ways = {
        AUV: lambda: peer.tokenizer(samples[None]),
        FLOAT: lambda: codec.encode_samples(samples),
        BF16: lambda: fast.encode_samples(samples),
    }
    decode: Ways = {
        AUV: lambda: peer.token2wav(theirs["quantized"]),
        FLOAT: lambda: codec.decode_codes(codes),
        BF16: lambda: fast.decode_codes(codes),
    }
    frames = codes.shape[1]
    return [
        {"case": "encode, 4 s", "seconds": 4, "gflop": gflop(CONFIG.encoder_layers, frames), **timed(encode, rounds)},
        {"case": "decode, 4 s", "seconds": 4, "gflop": gflop(CONFIG.decoder_layers, frames), **timed(decode, rounds)},
    ]


def many(peer: Any, codec: LLMCodec, fast: LLMCodec, rounds: int) -> list[dict[str, Any]]:
    """32 clips of 1 to 12 s, there and back: auv one by one, which is all it does, and ours in batches."""
    lengths = torch.linspace(1, 12, 32)[torch.randperm(32, generator=torch.Generator().manual_seed(1))]
    clips = [sound(float(seconds), index) for index, seconds in enumerate(lengths)]
    ways: Ways = {
        AUV: lambda: [peer.token2wav(peer.tokenizer(clip[None])["quantized"]) for clip in clips],
        FLOAT: lambda: codec.decode_codes_batch(codec.encode_samples_batch(clips)),
        BF16: lambda: fast.decode_codes_batch(fast.encode_samples_batch(clips)),
    }
    frames = sum(CONFIG.frames(len(clip)) for clip in clips)
    work = gflop(CONFIG.encoder_layers, frames) + gflop(CONFIG.decoder_layers, frames)
    seconds = float(lengths.sum())
    return [{"case": "32 clips of 1 to 12 s, there and back", "seconds": seconds, "gflop": work, **timed(ways, rounds)}]


def by_length(peer: Any, codec: LLMCodec, fast: LLMCodec, rounds: int) -> list[dict[str, Any]]:
    """There and back by length."""
    rows = []
    for seconds in LENGTHS_S:
        samples = sound(seconds)
        ways: Ways = {
            AUV: lambda x=samples: peer.token2wav(peer.tokenizer(x[None])["quantized"]),  # type: ignore[misc]
            FLOAT: lambda x=samples: codec.decode_codes(codec.encode_samples(x)),  # type: ignore[misc]
            BF16: lambda x=samples: fast.decode_codes(fast.encode_samples(x)),  # type: ignore[misc]
        }
        frames = CONFIG.frames(len(samples))
        work = gflop(CONFIG.encoder_layers, frames) + gflop(CONFIG.decoder_layers, frames)
        few = rounds if seconds <= 15 else 3 if seconds <= 60 else 1
        case = {"case": f"{seconds} s, there and back", "seconds": seconds, "gflop": work}
        rows.append({**case, **timed(ways, few, warm=seconds <= 60)})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def timed(ways: Ways, rounds: int, warm: bool = True) -> dict[str, Any]:
    """{"ms": {way: the median}}: rounds in which the ways take turns."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for turn in range(rounds + warm):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if turn >= warm:
                    spent[name].append(1000 * (time.perf_counter() - start))
    return {"ms": {name: statistics.median(times) for name, times in spent.items()}, "rounds": rounds}


# Floors
def gflop(layers: int, frames: int) -> float:
    """10^9 operations of the products with weights over so many frames (attention's own come on top)."""
    dim = CONFIG.hidden_size
    layer = 2 * 2 * dim * CONFIG.ffn_mult * dim + 4 * dim * dim + 3 * dim * dim
    return 2 * frames * (layers * layer + (CONFIG.n_fft + 2) * dim) / 1e9


def measured_rates() -> dict[str, float]:
    """10^9 operations a second of a product of 2048 cubed."""
    size = 2048
    x, weight = torch.randn(size, size), torch.randn(size, size)
    half_x, half_weight = x.bfloat16(), weight.bfloat16()
    ways: Ways = {
        "float32, MKL": lambda: functional.linear(x, weight),
        "float32, oneDNN": lambda: linear(x, weight),
        "bfloat16": lambda: linear(half_x, half_weight),
    }
    return {name: 2 * size**3 / ms / 1e6 for name, ms in timed(ways, 9)["ms"].items()}


# Memory
def memories() -> dict[str, dict[str, float]]:
    """{way: {seconds: MiB}}: the most that coding added to what the loaded codec took, in a process of its own."""
    found: dict[str, dict[str, float]] = {}
    for way in (AUV, FLOAT):
        for seconds in ("4", "60", "240") if way == AUV else ("4", "60", "240", "600"):
            command = [sys.executable, __file__, "--memory", way, seconds]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.setdefault(way, {})[seconds] = json.loads(done.stdout)
    return found


def memory(way: str, seconds: str) -> float:
    """MiB that a first clip of that length adds to the process's peak."""
    peer, codec, _ = made()
    samples = sound(float(seconds))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what is in use now
    before = _peak_kib()
    with torch.inference_mode():
        if way == AUV:
            peer.token2wav(peer.tokenizer(samples[None])["quantized"])
        else:
            codec.decode_codes(codec.encode_samples(samples))
    return round((_peak_kib() - before) / 1024, 1)


def _peak_kib() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


# What is shown
def table(found: Mapping[str, Any]) -> str:
    """The results as markdown."""
    rates = found["gflops"]
    lines = [
        f"{found['machine']}; products of 2048 cubed: "
        + ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in rates.items()),
        "",
        "| case | auv ms | ours ms | times | of the floor | bf16 ms | times | of the floor |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in found["rows"]:
        ms = row["ms"]
        floors = [1000 * row["gflop"] / row["gflops"][name] for name in ("float32, oneDNN", "bfloat16")]
        lines.append(
            f"| {row['case']} | {ms[AUV]:,.0f} | {ms[FLOAT]:,.0f} | **{ms[AUV] / ms[FLOAT]:.2f}** | "
            f"{floors[0] / ms[FLOAT]:.0%} | {ms[BF16]:,.0f} | **{ms[AUV] / ms[BF16]:.2f}** | "
            f"{floors[1] / ms[BF16]:.0%} |"
        )
    if found["curve"]:
        lines += ["", "Milliseconds a second of audio, there and back:", ""]
        lines += ["| seconds | " + " | ".join(str(row["seconds"]) for row in found["curve"]) + " |"]
        lines += ["| --- " * (1 + len(found["curve"])) + "|"]
        for way in (AUV, FLOAT, BF16):
            costs = (f"{row['ms'][way] / row['seconds']:.1f}" for row in found["curve"])
            lines.append(f"| {way} | " + " | ".join(costs) + " |")
    for way, by_seconds in found["memory_mib"].items():
        lines += ["", f"MiB on top of the loaded codec, {way}: "]
        lines[-1] += ", ".join(f"{mib:,.0f} for {seconds} s" for seconds, mib in by_seconds.items())
    return "\n".join(lines) + "\n"


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Cost by length."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for way, marker in ((AUV, "s"), (FLOAT, "o"), (BF16, "^")):
        seconds = [row["seconds"] for row in found["curve"]]
        axes.plot(seconds, [row["ms"][way] / row["seconds"] for row in found["curve"]], marker=marker, label=way)
    axes.set(xscale="log", yscale="log", xlabel="length of the clip, s", ylabel="ms a second of audio, there and back")
    axes.set_xticks(LENGTHS_S, [str(seconds) for seconds in LENGTHS_S])
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="cost by length is that of the last whole run")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "codec_speed")
    parser.add_argument("--memory", nargs=2, metavar=("WAY", "SECONDS"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
