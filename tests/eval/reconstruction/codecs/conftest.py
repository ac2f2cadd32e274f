"""Clips of several rates and lengths, and what every adapter must hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eval.harness.clips import CorpusClip
from eval.reconstruction.codecs import MeasuredCodec


def make_clip(
    rate: int, seconds: float, clip_id: str = "clip", split: str = "Speech", source: str = "source"
) -> CorpusClip:
    """A tone with swells, seeded by the id; its length divides by no hop."""
    n = round(rate * seconds) + 7
    time = np.arange(n) / rate
    random = np.random.default_rng(sum(map(ord, clip_id)))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    samples = swell * 0.3 * np.sin(2 * np.pi * 220 * time) + 0.01 * random.standard_normal(n)
    return CorpusClip(clip_id, split, source, samples.astype(np.float32), rate, f"digest of {clip_id}")


@pytest.fixture
def clip_of() -> Callable[..., CorpusClip]:
    return make_clip


@pytest.fixture
def clips() -> list[CorpusClip]:
    rates = ((16_000, 0.9, "a"), (44_100, 0.6, "b"), (48_000, 0.4, "c"), (16_000, 0.3, "d"))
    return [make_clip(*rest) for rest in rates]


@pytest.fixture
def assert_contract(clips: list[CorpusClip]) -> Callable[[MeasuredCodec], list[np.ndarray]]:
    """A check of an adapter: rate, length, type, inputs unchanged, and one clip alone equal to the same in a batch."""

    def check(model: MeasuredCodec) -> list[np.ndarray]:
        before = [clip.samples.copy() for clip in clips]
        coded = model.encode(clips)
        decoded = model.decode(coded, clips)
        for clip, then in zip(clips, before, strict=True):
            np.testing.assert_array_equal(clip.samples, then)
        assert len(coded) == len(decoded) == len(clips)
        for clip, item, samples in zip(clips, coded, decoded, strict=True):
            assert samples.dtype == np.float32
            assert samples.shape == clip.samples.shape
            assert np.isfinite(samples).all()
            assert not np.shares_memory(samples, clip.samples)
            (alone,) = model.encode([clip])
            if item.codes is not None:
                np.testing.assert_array_equal(alone.codes, item.codes)
            assert alone.n_bits == item.n_bits
            np.testing.assert_allclose(model.decode([alone], [clip])[0], samples, atol=1e-5)
        return decoded

    return check
