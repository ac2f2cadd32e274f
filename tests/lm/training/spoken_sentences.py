"""Token corpora with texts: each letter is a run of codes of its own, so that a text tells its tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soundcodec_llmcodec.data.token_corpus import TokenClip, TokenSource, shard_name, write_shard, write_source

SENTENCES = ("ab ba", "cab", "a bad cab", "dab a bac")


def spoken(text: str, codes: int) -> np.ndarray:
    """Tokens int32 (N,) of a text: two or three codes a letter, which differ with the letter and its place."""
    runs = [[(7 * ord(sign) + 3 * index + k) % codes for k in range(2 + index % 2)] for index, sign in enumerate(text)]
    return np.concatenate(runs).astype(np.int32)


def write_spoken(
    folder: Path, source: TokenSource, texts: tuple[str | None, ...] = SENTENCES, split: str = "train"
) -> Path:
    """A split of clips that say the texts; None is a clip without a text."""
    write_source(folder, source)
    codes = [spoken(text or "abc", source.codebook_size) for text in texts]
    if source.num_quantizers > 1:
        codes = [np.repeat(clip, source.num_quantizers) for clip in codes]
    clips = [TokenClip(f"{i}", codes[i], 320 * len(codes[i]), text) for i, text in enumerate(texts)]
    write_shard(folder, shard_name(split, 0, 1), clips)
    return folder
