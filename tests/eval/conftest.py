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

from eval.harness import corpora  # noqa: E402
from eval.harness.clips import ClipCorpus, CorpusClip  # noqa: E402
from eval.reconstruction import codecs  # noqa: E402
from eval.reconstruction.codecs import CodecInfo, CodecSpec, Coded  # noqa: E402
from eval.reconstruction.metrics import named  # noqa: E402
from eval.reconstruction.reconstruction_plan import ReconstructionPlan  # noqa: E402
from soundcodec_llmcodec.data import Split  # noqa: E402


class FakeCodec:
    """A codec whose reconstruction is a function of the samples; it refuses the clips named in `broken`."""

    def __init__(self, name: str, change: Callable[[np.ndarray], np.ndarray], broken: Sequence[str] = ()) -> None:
        self.info = CodecInfo(
            name=name,
            kind="fake",
            checkpoint="some-checkpoint",
            checkpoint_hash="ab" * 32,
            identity=f"fake {name}",
            sample_rate=16_000,
            bitrate_bps=716.1,
            token_rate=50.0,
            codebook_size=20_480,
            num_quantizers=1,
            parameters=7,
        )
        self.change = change
        self.broken = set(broken)
        self.batches: list[list[str]] = []

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        self.batches.append([clip.clip_id for clip in clips])
        bad = [clip.clip_id for clip in clips if clip.clip_id in self.broken]
        if bad:
            raise ValueError(f"cannot do {bad}\nand a second line")
        codes = [np.arange(len(clip.samples) // 320)[None] % 5 for clip in clips]
        return [Coded(clip.samples, code) for clip, code in zip(clips, codes, strict=True)]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        return [self.change(item.payload).astype(np.float32) for item in coded]


@pytest.fixture
def plan() -> Callable[..., ReconstructionPlan]:
    """A Plan with small defaults: plan(models, corpus, **what differs)."""

    def make(models: Sequence[object], corpus: ClipCorpus, **options: object) -> ReconstructionPlan:
        given = {"splits": tuple(corpus.splits), "metrics": named(["stft"]), "batch_size": 2, **options}
        return ReconstructionPlan(models, corpus, **given)

    return make


@pytest.fixture
def with_codecs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the command know these codecs: with_codecs(name=make, ...)."""
    check, load = codecs.check, codecs.load

    def install(**made: Callable[[], object]) -> None:
        def checked(texts: Sequence[str], **options: object) -> list[CodecSpec]:
            return [CodecSpec(text, text, "fake", text) if text in made else check([text])[0] for text in texts]

        def loaded(spec: CodecSpec, **options: object) -> object:
            return made[spec.target]() if spec.kind == "fake" else load(spec, **options)

        monkeypatch.setattr(codecs, "check", checked)
        monkeypatch.setattr(codecs, "load", loaded)

    return install


@pytest.fixture
def fake_codec() -> type[FakeCodec]:
    return FakeCodec


@pytest.fixture(scope="session")
def mini() -> ClipCorpus:
    return corpora.load("mini")


@pytest.fixture(scope="session")
def speech(mini: ClipCorpus) -> list[CorpusClip]:
    """The mini set's speech, decoded."""
    return list(mini.clips("Speech"))


@pytest.fixture
def small(mini: ClipCorpus) -> ClipCorpus:
    """Three spoken clips and two of music, out of the mini set."""

    def first(split: str, n: int) -> Split:
        return Split(n, lambda: list(mini.splits[split].rows())[:n])

    return ClipCorpus("small", "small", False, {"Speech": first("Speech", 3), "Music": first("Music", 2)})
