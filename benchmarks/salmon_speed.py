"""Pairs a second of eval/salmon.py against one pair at a time, on the same pairs, in one run.

    python benchmarks/salmon_speed.py --suite mini --rounds 3

One pair at a time is the plain way, as SALMon's own runner goes: each recording is resampled and encoded alone, and
scored alone by the model's logits and a log-softmax over its whole vocabulary. Rounds alternate between both ways,
after a first call that is not counted; the median round counts. Both stages are timed alone too. CPU time stands beside
the clock, because it is disturbed less by what else a machine does. Where there is no bundled language model, or with
--lm scratch, one of the bundled one's size with random weights stands in: the time is the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from eval.harness.codec_tokenizer import CodecTokenizer
from eval.salmon import suites
from eval.salmon.likelihood import encoded, scored
from eval.salmon.pair_scores import ModelInfo
from eval.salmon.salmon_models import Model
from eval.salmon.salmon_run import SalmonPlan, run
from eval.salmon.suite import Pair, PairedRecording, Suite
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.loading import BUNDLED, load_token_lm
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.vocabulary import TokenSpec

SCRATCH = "scratch"
# Scores of the two ways may differ by rounding: nats a recording.
TOLERANCE = 1e-2


def main() -> None:
    arguments = _parsed()
    codec = LLMCodec.from_pretrained(arguments.codec, device=arguments.device)
    tokenizer = CodecTokenizer(codec)
    lm = _language_model(arguments.lm, tokenizer.source, arguments)
    info = ModelInfo(
        "model",
        codec.name,
        codec.weights_hash,
        lm.name,
        "-",
        lm.prefix,
        lm.vocabulary_size,
        50.0,
        tokenizer.bitrate_bps,
    )
    model = Model(info, tokenizer, lm)
    suite = suites.load(arguments.suite)
    pairs = {part: list(suite.pairs(part, arguments.limit)) for part in suite.parts}
    # Read and made before, so that both ways begin with audio in memory.
    suite = Suite(suite.name, suite.label, suite.synthetic, suite.sizes, lambda part: pairs[part])
    every = [pair for found in pairs.values() for pair in found]
    recordings = {r.digest: r for pair in every for r in (pair.positive, pair.negative)}
    seconds = sum(r.seconds for r in recordings.values()) / len(recordings)
    print(
        f"{len(every)} pairs of {suite.label}, {len(recordings)} recordings of {seconds:.2f} s; {codec.name}, "
        f"{lm.name} ({lm.parameters / 1e6:.1f} M weights, {lm.full_size} tokens); "
        f"{arguments.device}, {torch.get_num_threads()} threads, batches of {arguments.batch_size}"
    )
    plan = SalmonPlan([model], suite, suite.parts, arguments.batch_size, arguments.limit)
    tokens, _ = encoded(tokenizer, recordings, arguments.batch_size)
    clips = [ids for ids in tokens.values() if isinstance(ids, np.ndarray)]
    _agree(lm, clips[:8])
    for stage, ways in _stages(plan, every, recordings, clips, arguments.batch_size).items():
        _told(stage, measure(ways, arguments.rounds), len(every))


def _stages(
    plan: SalmonPlan,
    pairs: Sequence[Pair],
    recordings: dict[str, PairedRecording],
    clips: list[np.ndarray],
    batch_size: int,
) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """By stage: one pair at a time, and ours."""
    (model,) = plan.models
    by_key = {str(index): clip for index, clip in enumerate(clips)}
    return {
        "encoding": (
            lambda: [alone(model.tokenizer, r) for pair in pairs for r in (pair.positive, pair.negative)],
            lambda: encoded(model.tokenizer, recordings, batch_size),
        ),
        "scoring": (
            lambda: [plain(model.lm, clip) for clip in clips],
            lambda: scored(model.lm, by_key, batch_size),
        ),
        "both": (
            lambda: [one_pair(model, pair) for pair in pairs],
            lambda: run(plan, progress=False),
        ),
    }


def one_pair(model: Model, pair: Pair) -> bool:
    """Whether the positive is more likely, one recording after the other."""
    positive, negative = (plain(model.lm, alone(model.tokenizer, r)) for r in (pair.positive, pair.negative))
    return positive > negative


def alone(tokenizer: Any, recording: PairedRecording) -> np.ndarray:
    """The recording's tokens, encoded in a batch of one."""
    return tokenizer.tokens([(recording.samples, recording.rate)])[0]


@torch.no_grad()
def plain(lm: Any, clip: np.ndarray) -> float:
    """The mean log-likelihood of a clip over the whole vocabulary."""
    ids = torch.tensor([lm.prompt(clip)], device=lm.device)
    log_p = lm.model(input_ids=ids).logits.float().log_softmax(-1)
    return float(log_p[0, :-1].gather(1, ids[0, 1:, None]).mean())


def measure(ways: Sequence[Callable[[], Any]], rounds: int) -> list[tuple[float, float]]:
    """The median of each way's seconds by the clock and of CPU time, over alternating rounds."""
    spent: list[list[tuple[float, float]]] = [[] for _ in ways]
    for round_number in range(rounds + 1):
        for way, seconds in zip(ways, spent, strict=True):
            clock, cpu = time.perf_counter(), time.process_time()
            way()
            if round_number:
                seconds.append((time.perf_counter() - clock, time.process_time() - cpu))
    return [(statistics.median(s[0] for s in found), statistics.median(s[1] for s in found)) for found in spent]


def _told(stage: str, seconds: Sequence[tuple[float, float]], n_pairs: int) -> None:
    (one, one_cpu), (ours, ours_cpu) = seconds
    print(
        f"{stage:9} one pair at a time {n_pairs / one:7.2f} pairs/s, ours {n_pairs / ours:7.2f} pairs/s: "
        f"{one / ours:.2f} times; CPU time {1000 * one_cpu / n_pairs:.0f} and {1000 * ours_cpu / n_pairs:.0f} ms a "
        f"pair: {one_cpu / ours_cpu:.2f} times",
        flush=True,
    )


def _agree(lm: Any, clips: Sequence[np.ndarray]) -> None:
    """Both ways score alike: otherwise their times say nothing."""
    for clip, scores in zip(clips, lm.score(clips), strict=True):
        difference = abs(plain(lm, clip) * len(scores.full_nll) + float(scores.full_nll.sum()))
        if difference > TOLERANCE:
            raise SystemExit(f"the two ways differ by {difference} nats on a clip of {len(clip)} tokens")


def _language_model(name: str | None, source: TokenSource, arguments: argparse.Namespace) -> Any:
    if name is None:
        name = "bundled" if BUNDLED.is_dir() and arguments.codec == "llmcodec" else SCRATCH
    if name != SCRATCH:
        return load_token_lm(name, source, arguments.device)
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    size = source.vocabulary_size
    config = LlamaConfig(
        vocab_size=size + 2,
        hidden_size=arguments.width,
        intermediate_size=-(-8 * arguments.width // 96) * 32,
        num_hidden_layers=arguments.layers,
        num_attention_heads=4,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False).to(arguments.device)
    return NeuralTokenLM(model, TokenSpec(0, size), source, bos_id=size, eos_id=size + 1, name=SCRATCH)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="mini")
    parser.add_argument("--limit", type=int, help="pairs a part")
    parser.add_argument("--codec", default="llmcodec")
    parser.add_argument("--lm", help="bundled (default where there is one), scratch, or a folder")
    parser.add_argument("--layers", type=int, default=4, help="of scratch")
    parser.add_argument("--width", type=int, default=192, help="of scratch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
