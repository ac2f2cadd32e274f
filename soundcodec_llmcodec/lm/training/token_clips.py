"""The tokens that a language model trains on: clips of one or several token corpora, whole in memory.

Letters: N tokens of a clip, V tokens of the audio vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soundcodec_llmcodec.data.token_corpus import TokenCorpus, TokenSource
from soundcodec_llmcodec.runs.errors import TrainConfigError


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips' tokens in [0, V), one after another in `tokens` int32; clip i is tokens[offsets[i] : offsets[i + 1]]."""

    source: TokenSource
    tokens: np.ndarray
    offsets: np.ndarray
    labels: tuple[str, ...]

    @classmethod
    def of(cls, source: TokenSource, clips: Sequence[np.ndarray], labels: Sequence[str] = ()) -> Clips:
        """Of clips (N,), those without tokens left out. Raises TrainConfigError where none is left."""
        whole = [clip for clip in clips if len(clip)]
        if not whole:
            raise TrainConfigError(f"no tokens to train on in {', '.join(labels) or 'the clips given'}")
        offsets = np.cumsum([0, *map(len, whole)], dtype=np.int64)
        return cls(source, np.concatenate(whole).astype(np.int32), offsets, tuple(labels))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """N of each clip, int64."""
        return np.diff(self.offsets)

    def clip(self, index: int) -> np.ndarray:
        """A clip's tokens int32 (N,)."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def first(self, count: int) -> Clips:
        """The first `count` clips; all where it is 0."""
        if not count or count >= len(self):
            return self
        return Clips(self.source, self.tokens[: self.offsets[count]], self.offsets[: count + 1], self.labels)

    @property
    def fingerprint(self) -> str:
        """A hash of the codec and all tokens."""
        digest = hashlib.sha256(self.source.codec_hash.encode())
        for part in (self.offsets, self.tokens):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def open_clips(places: Sequence[str], source: TokenSource | None = None) -> Clips:
    """The clips of token corpora ("FOLDER" or "FOLDER:SPLIT"), in order.

    Raises TrainConfigError where they are of different codecs, or of another than `source`; TokenCorpusError for one
    that cannot be read.
    """
    corpora = [TokenCorpus.open(place) for place in places]
    for corpus in corpora:
        expected = source or corpora[0].source
        if corpus.source.codec_hash != expected.codec_hash:
            other = corpus.source
            raise TrainConfigError(
                f"{corpus.label} holds tokens of codec {other.codec_hash[:12]} ({other.codec_name}), the others are of "
                f"{expected.codec_hash[:12]} ({expected.codec_name}): one language model takes the tokens of one codec"
            )
    clips = [clip for corpus in corpora for clip in corpus.ids()]
    return Clips.of(corpora[0].source, clips, [corpus.label for corpus in corpora])
