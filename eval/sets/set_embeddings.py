"""What sets of clips are compared by: functions from a clip to vectors, and what each can and cannot hear.

Letters: S samples, N items, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.harness.provenance import versions
from soundcodec_llmcodec.audio import resample
from soundcodec_llmcodec.measures.mel_distance import framed, hann
from soundcodec_llmcodec.measures.mel_filters import mel_filters

_RATE, _BANDS, _WINDOW = 16_000, 32, 1024


@dataclass(frozen=True)
class SetEmbedding:
    """An embedding by name: `function` makes items float32 (N, `dimensions`) of samples float32 (S,) at `rate` Hz.

    `check` raises ImportError where a package that it needs is missing; `packages` are those whose versions count.
    """

    name: str
    about: str
    dimensions: int
    rate: int
    function: Callable[[np.ndarray], np.ndarray]
    check: Callable[[], object] = lambda: None
    packages: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """What decides its values, JSON-ready."""
        of_packages = {name: versions(self.packages)[name] for name in self.packages}
        return {"name": self.name, "dimensions": self.dimensions, "rate": self.rate, "packages": of_packages}

    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Items of samples (S,) at any rate. Raises ValueError where there are none, or they are not finite."""
        if samples.ndim != 1 or not len(samples):
            raise ValueError(f"expected samples as (S,), got shape {samples.shape}")
        items = np.asarray(self.function(resample(samples, rate, self.rate).astype(np.float32, copy=False)))
        if items.ndim != 2 or items.shape[1] != self.dimensions or not np.isfinite(items).all():
            raise ValueError(f"{self.name}: expected finite items as (N, {self.dimensions}), got {items.shape}")
        return items


def mel_statistics(samples: np.ndarray) -> np.ndarray:
    """Mean and standard deviation over time of 32 log mel bands in dB, float32 (1, 64); at least 33 ms of sound."""
    spectrum = np.abs(np.fft.rfft(framed(samples, _WINDOW) * hann(_WINDOW), axis=1))
    bands = 20 * np.log10(np.maximum(spectrum @ mel_filters(_RATE, _WINDOW, _BANDS).T, 1e-5))
    return np.concatenate((bands.mean(0), bands.std(0)))[None].astype(np.float32)


def _musicnn(output: int) -> Callable[[np.ndarray], np.ndarray]:
    def function(samples: np.ndarray) -> np.ndarray:
        from eval.sets import musicnn

        return musicnn.hear(samples)[output]

    return function


def _check_musicnn() -> None:
    from eval.sets import musicnn

    musicnn.weights_folder()


_HEARD = (
    "of musicnn (MSD_musicnn, Pons and Serra 2019; package musicnn), windows of 3 s at 16 kHz: genre, mood, "
    "instruments and era of recorded music; no form beyond 3 s, and everyday sounds as far as they resemble music"
)
EMBEDDINGS: Mapping[str, SetEmbedding] = {
    embedding.name: embedding
    for embedding in (
        SetEmbedding("musicnn-tags", f"50 tag logits {_HEARD}", 50, _RATE, _musicnn(1), _check_musicnn, ("musicnn",)),
        SetEmbedding(
            "musicnn", f"200 features before the tags {_HEARD}", 200, _RATE, _musicnn(0), _check_musicnn, ("musicnn",)
        ),
        SetEmbedding(
            "mel-statistics",
            "mean and standard deviation over time of 32 log mel bands at 16 kHz: timbre and how much it moves; not "
            "what follows what, nor pitch",
            2 * _BANDS,
            _RATE,
            mel_statistics,
        ),
    )
}


def embedding_named(name: str) -> SetEmbedding:
    """The embedding of this name. Raises ValueError for another, with those that there are."""
    if name not in EMBEDDINGS:
        raise ValueError(f"no embedding is called {name!r}; there are {', '.join(EMBEDDINGS)}")
    return EMBEDDINGS[name]
