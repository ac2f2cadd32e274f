"""A codec with fewer codes: its own codebook's place taken by clusters of what its encoder says of speech.

What a reader should compare a codec with that uses fewer codes because an objective made it so.

Letters: N latents, K codebook dimensions, V codes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from soundcodec_llmcodec import checkpoints, coding
from soundcodec_llmcodec.nn.model import CodecModel, framed_samples
from soundcodec_llmcodec.train.crops import DecodedCorpus

SECONDS = 4.0


def latents_of(model: CodecModel, corpus: DecodedCorpus, count: int, seed: int = 0) -> np.ndarray:
    """About `count` latents (N, K) of crops of random clips, float32, before they are quantized."""
    config = model.config
    length = int(SECONDS * config.sample_rate)
    drawn = np.random.default_rng(seed).permutation(len(corpus.ids))
    blocks: list[np.ndarray] = []
    with coding.exact_inference(model):
        for batch in _batches(drawn, 16):
            clips = [corpus.clip(int(index))[:length] for index in batch]
            for clip in clips:
                features = model.tokenizer.features(framed_samples(clip, config)[None])
                blocks.append(model.tokenizer.vq.levels[0].project(features)[0].numpy())
            if sum(len(latents) for latents in blocks) >= count:
                break
    return np.concatenate(blocks)[:count]


def clustered(latents: np.ndarray, codes: int, seed: int = 0) -> np.ndarray:
    """Code vectors (V, K): by direction, as the quantizer compares, the mean latent of each of V clusters.

    Raises ValueError for fewer latents than codes.
    """
    from sklearn.cluster import MiniBatchKMeans

    if len(latents) < codes:
        raise ValueError(f"{codes} codes need at least as many latents, got {len(latents)}")
    directions = latents / np.linalg.norm(latents, axis=1, keepdims=True).clip(1e-9)
    clusters = MiniBatchKMeans(codes, random_state=seed, n_init=1, batch_size=8192, max_iter=20, init="random").fit(
        directions
    )
    vectors = clusters.cluster_centers_.astype(np.float32)
    sums, counts = np.zeros_like(vectors), np.bincount(clusters.labels_, minlength=codes)
    np.add.at(sums, clusters.labels_, latents)
    taken = counts > 0
    vectors[taken] = sums[taken] / counts[taken, None]
    return vectors


def shrink(source: str, corpus: DecodedCorpus, codes: int, folder: Path, latents: int = 200_000) -> Path:
    """Write the codec of `source` with `codes` codes to `folder`; everything but its codebook stays as it is."""
    loaded = checkpoints.load(source)
    config = dataclasses.replace(loaded.config, codebook_size=codes, codebook_partitions=())
    vectors = clustered(latents_of(loaded.model, corpus, latents), codes)
    model = CodecModel(config)
    tensors = dict(loaded.model.state_dict())
    names = [name for name, tensor in tensors.items() if name.endswith("_codebook.weight")]
    assert len(names) == 1, names
    tensors[names[0]] = torch.from_numpy(vectors)
    model.load_state_dict(tensors)
    return checkpoints.save(folder, config, model, {"clustered_from": loaded.info, "latents": latents})


def _batches(items: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
