"""Small token corpora on disk, for the tests of the predictability report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soundcodec_llmcodec.data.token_corpus import TokenClip, TokenSource, shard_name, write_shard, write_source

SIZE = 32


def source(name: str = "toy", hop: int = 320, size: int = SIZE) -> TokenSource:
    """A codec; codecs of other names are other codecs."""
    return TokenSource(name, (name[0] * 64)[:64], 16_000, hop, size)


def clips(n: int, seed: int, size: int = SIZE) -> list[np.ndarray]:
    """Clips int32 (N,) of unequal lengths in which a token tells much of the next."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        tokens = [int(rng.integers(size))]
        while len(tokens) < rng.integers(30, 90):
            step = int(rng.integers(size)) if rng.random() < 0.2 else (tokens[-1] * 3 + 1) % size
            tokens.append(step)
        made.append(np.array(tokens, np.int32))
    return made


def write(folder: Path, split: str, codes: list[np.ndarray], of: TokenSource) -> str:
    """Write a split; returns what names it on the command line."""
    write_source(folder, of)
    rows = [TokenClip(f"clip-{i}", one, len(one) * of.hop_length) for i, one in enumerate(codes)]
    write_shard(folder, shard_name(split, 0, 1), rows)
    return f"{folder}:{split}"
