"""A text tokenizer with 20,480 "<CODEC_i>" tokens: seconds to extend, save and load it, and to encode and decode codes.

    python benchmarks/tokenizer_speed.py --lm smollm2

Medians over the repeats. "ids" is the arithmetic that hot paths take instead of text.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np

from soundcodec_llmcodec.lm.backbone import load_causal_lm
from soundcodec_llmcodec.lm.tokenizer import extend_tokenizer
from soundcodec_llmcodec.token_ids import token_text

CODEBOOK_SIZE = 20_480


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm", default="smollm2", help="whose tokenizer: smollm2, a folder, a .gguf file or a hub id")
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    from transformers import AutoTokenizer

    _, plain = load_causal_lm(arguments.lm)
    codes = np.random.default_rng(0).integers(0, CODEBOOK_SIZE, arguments.tokens)
    text = token_text(codes.tolist())
    tokenizer, spec = extend_tokenizer(plain, CODEBOOK_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        times = {"extend": seconds(lambda: extend_tokenizer(plain, CODEBOOK_SIZE), arguments.repeats)}
        times["save"] = seconds(lambda: tokenizer.save_pretrained(folder), arguments.repeats)
        times["load"] = seconds(lambda: AutoTokenizer.from_pretrained(folder), arguments.repeats)
        loaded = AutoTokenizer.from_pretrained(folder)
        ids = loaded(text, add_special_tokens=False)["input_ids"]
        if spec.codes(ids) != codes.tolist() or loaded.decode(ids) != text:
            raise SystemExit("codes did not come back from text as they were")
        times["text to ids"] = seconds(lambda: loaded(text, add_special_tokens=False), arguments.repeats)
        times["ids to text"] = seconds(lambda: loaded.decode(ids), arguments.repeats)
        times["ids, by arithmetic"] = seconds(lambda: spec.ids(codes), arguments.repeats)
    print(f"{len(loaded):,} tokens of {arguments.lm} and {CODEBOOK_SIZE:,} codes; {arguments.tokens:,} codes in text\n")
    print("| what | ms |\n| --- | --- |")
    for what, found in times.items():
        print(f"| {what} | {1000 * found:.3g} |")


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median of some repeats."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


if __name__ == "__main__":
    main()
