"""Language models over tokens that need no training to understand: uniform, unigram, bigram and trigram.

Letters: N tokens of a clip, V vocabulary.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm import lm_folder as folders
from soundcodec_llmcodec.lm.choices import MAX_ORDER
from soundcodec_llmcodec.lm.lm_folder import NGRAM, Description, TokenLMError
from soundcodec_llmcodec.lm.ngrams import MAX_VOCABULARY, Events, Ngrams
from soundcodec_llmcodec.lm.scores import BOS, TokenScores, check_clips

UNIFORM = "uniform"
NGRAM_NAMES = ("unigram", "bigram", "trigram")
COUNTS_FILE = "ngrams.safetensors"
_LONGER = ("pair", "triple")
# Sums of counts stay far from the end of int64.
_MAX_COUNT = 2**40


@dataclass(frozen=True)
class UniformLM:
    """Every token equally likely, always.

    A token costs ln V rounded to float32: sums of such numbers are exact in float64, so that clips of any lengths have
    exactly one mean, and tie.
    """

    vocabulary_size: int

    name = UNIFORM
    prefix = BOS
    codec_hash = None

    @property
    def full_size(self) -> int:
        """V: it knows nothing else."""
        return self.vocabulary_size

    @property
    def identity(self) -> str:
        """A hash over V."""
        return hashlib.sha256(f"uniform {self.vocabulary_size}".encode()).hexdigest()

    def score(self, clips: Sequence[np.ndarray], *, batch_tokens: int = 4096) -> list[TokenScores]:
        """As `TokenLM.score`."""
        check_clips(clips, self.vocabulary_size)
        nll = float(np.float32(math.log(self.vocabulary_size)))
        scores = [np.full(len(clip), nll) for clip in clips]
        return [TokenScores(clip_nll, clip_nll) for clip_nll in scores]


@dataclass(frozen=True, eq=False)
class NgramLM:
    """Counts as a language model over a codec's tokens; `name` is that of their order."""

    ngrams: Ngrams
    source: TokenSource

    prefix = BOS

    def __post_init__(self) -> None:
        if self.ngrams.vocabulary_size != self.source.vocabulary_size:
            raise ValueError(
                f"counts over {self.ngrams.vocabulary_size} tokens are not of {self.source.codec_name}, which has "
                f"{self.source.vocabulary_size}"
            )

    @classmethod
    def count(cls, clips: Sequence[np.ndarray], source: TokenSource, order: int) -> NgramLM:
        """Counts over clips of tokens int64 (N,). Raises ValueError for tokens that the codec does not have."""
        clips = [clip for clip in clips if clip.size]
        check_clips(clips, source.vocabulary_size)
        return cls(Ngrams.count(clips, source.vocabulary_size, order), source)

    def up_to(self, order: int) -> NgramLM:
        """The model of a lower order by the same counts."""
        return NgramLM(self.ngrams.up_to(order), self.source)

    @property
    def name(self) -> str:
        """ "unigram", "bigram" or "trigram"."""
        return NGRAM_NAMES[self.ngrams.order - 1]

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.ngrams.vocabulary_size

    @property
    def full_size(self) -> int:
        """V: it knows nothing else."""
        return self.vocabulary_size

    @property
    def codec_hash(self) -> str:
        """That of the codec whose tokens were counted."""
        return self.source.codec_hash

    @cached_property
    def identity(self) -> str:
        """SHA-256 over the counts."""
        digest = hashlib.sha256()
        for name, array in _arrays(self.ngrams).items():
            digest.update(f"{name} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def score(self, clips: Sequence[np.ndarray], *, batch_tokens: int = 4096) -> list[TokenScores]:
        """As `TokenLM.score`; there are no batches."""
        if not clips:
            return []
        check_clips(clips, self.vocabulary_size)
        nll = -np.log(self.ngrams.probabilities(clips))
        parts = np.split(nll, np.cumsum([len(clip) for clip in clips])[:-1])
        return [TokenScores(part, part) for part in parts]

    def save(self, folder: str | Path) -> None:
        """Write `ngrams.safetensors` and `token_lm.json`, whole or not at all.

        Raises TokenLMError where the folder holds a model of another kind, or somebody else's.
        """
        described = Description(NGRAM, self.name, self.source, {"order": self.ngrams.order})
        with folders.written(folder, described) as scratch:
            try:
                save_file(_arrays(self.ngrams), scratch / COUNTS_FILE)
            except SafetensorError as error:
                raise OSError(f"cannot write {Path(folder) / COUNTS_FILE}: {error}") from error

    @classmethod
    def load(cls, folder: str | Path) -> NgramLM:
        """What `save` wrote. Raises TokenLMError where the folder is another thing, or its counts are not sound."""
        described = folders.describe(folder)
        path = Path(folder) / COUNTS_FILE
        order = described.model.get("order")
        if described.kind != NGRAM or type(order) is not int or not 1 <= order <= MAX_ORDER:
            raise TokenLMError(f"expected n-grams of order 1 to {MAX_ORDER} in {folder}, found {described}")
        try:
            arrays = load_file(path)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            # numpy lacks some of safetensors' types.
            raise TokenLMError(f"cannot read the counts {path}: {error}") from error
        expected = {"unigrams", *(f"{name}_{part}" for name in _LONGER[: order - 1] for part in ("keys", "counts"))}
        size = described.source.vocabulary_size
        if set(arrays) != expected or arrays["unigrams"].shape != (size,):
            shapes = {name: array.shape for name, array in arrays.items()}
            raise TokenLMError(f"{path}: expected {sorted(expected)} with {size} unigrams, got {shapes}")
        unigrams = arrays["unigrams"]
        if unigrams.dtype != np.int64 or not 0 <= unigrams.min() <= unigrams.max() <= _MAX_COUNT:
            raise TokenLMError(f"{path} holds no counts: expected int64 of 0 to {_MAX_COUNT}, got {unigrams.dtype}")
        if size > MAX_VOCABULARY:
            raise TokenLMError(f"{path}: n-grams are of at most {MAX_VOCABULARY} tokens, got {size}")
        longer = tuple(
            _events(arrays[f"{name}_keys"], arrays[f"{name}_counts"], size, level, path)
            for level, name in enumerate(_LONGER[: order - 1], start=2)
        )
        return cls(Ngrams(unigrams, longer), described.source)


def _arrays(ngrams: Ngrams) -> dict[str, np.ndarray]:
    arrays = {"unigrams": ngrams.unigrams}
    for name, events in zip(_LONGER, ngrams.longer, strict=False):
        arrays |= {f"{name}_keys": events.keys, f"{name}_counts": events.counts}
    return arrays


def _events(keys: np.ndarray, counts: np.ndarray, size: int, order: int, path: Path) -> Events:
    """Stored events, checked: a search among keys that are not in order would find nothing, without an error."""
    end = (size + 1) ** (order - 1) * size
    sound = keys.ndim == 1 and keys.shape == counts.shape and keys.dtype == counts.dtype == np.int64
    if sound and keys.size:
        # Compared, not subtracted: a difference could wrap around.
        sound = bool(keys[0] >= 0 and keys[-1] < end and (keys[1:] > keys[:-1]).all())
        sound = sound and bool(1 <= counts.min() <= counts.max() <= _MAX_COUNT)
    if not sound:
        raise TokenLMError(
            f"{path} holds no n-grams of order {order}: its keys or counts are not in order, or out of range"
        )
    return Events(keys, counts, size)
