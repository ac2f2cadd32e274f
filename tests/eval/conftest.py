"""The harness is not installed: its tests import it from the checkout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from eval import corpora  # noqa: E402
from eval.codec_models import CodecInfo, Reconstruction  # noqa: E402
from eval.corpora import Clip, Corpus, Split  # noqa: E402


class FakeCodec:
    """A codec whose reconstruction is a function of the samples; it refuses the clips named in `broken`."""

    def __init__(self, name: str, change: Callable[[np.ndarray], np.ndarray], broken: Sequence[str] = ()) -> None:
        self.info = CodecInfo(name, "some-checkpoint", "ab" * 32, 16_000, 716.1, 50.0, 20_480, 1, 7, "cpu")
        self.change = change
        self.broken = set(broken)
        self.batches: list[list[str]] = []

    def reconstruct(self, clips: Sequence[Clip]) -> list[Reconstruction]:
        self.batches.append([clip.clip_id for clip in clips])
        bad = [clip.clip_id for clip in clips if clip.clip_id in self.broken]
        if bad:
            raise ValueError(f"cannot do {bad}\nand a second line")
        codes = [np.arange(len(clip.samples) // 320)[None] % 5 for clip in clips]
        samples = [self.change(clip.samples).astype(np.float32) for clip in clips]
        return [Reconstruction(*made) for made in zip(samples, codes, strict=True)]


@pytest.fixture
def fake_codec() -> type[FakeCodec]:
    return FakeCodec


@pytest.fixture(scope="session")
def mini() -> Corpus:
    return corpora.load("mini")


@pytest.fixture(scope="session")
def speech(mini: Corpus) -> list[Clip]:
    """The mini set's speech, decoded."""
    return list(mini.clips("Speech"))


@pytest.fixture
def small(mini: Corpus) -> Corpus:
    """Three spoken clips and two of music, out of the mini set."""

    def first(split: str, n: int) -> Split:
        return Split(n, lambda: list(mini.splits[split].rows())[:n])

    return Corpus("small", "small", False, {"Speech": first("Speech", 3), "Music": first("Music", 2)})
