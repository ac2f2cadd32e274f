"""Token corpora with something to learn: clips that count."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soundcodec_llmcodec.data.token_corpus import TokenClip, TokenSource, shard_name, write_shard, write_source


def counting(codes: int, clips: int, seed: int, longest: int = 40) -> list[np.ndarray]:
    """Clips that count upwards from anywhere, by one or two: a model learns them fast."""
    draws = np.random.default_rng(seed)
    made = []
    for _ in range(clips):
        steps = draws.integers(1, 3, draws.integers(3, longest))
        made.append(((draws.integers(codes) + np.cumsum(steps)) % codes).astype(np.int32))
    return made


def write_corpus(folder: Path, source: TokenSource, splits: dict[str, list[np.ndarray]]) -> Path:
    """A token corpus with a shard a split."""
    write_source(folder, source)
    for split, clips in splits.items():
        made = [TokenClip(f"{split}-{i}", codes, 320 * len(codes)) for i, codes in enumerate(clips)]
        write_shard(folder, shard_name(split, 0, 1), made)
    return folder
