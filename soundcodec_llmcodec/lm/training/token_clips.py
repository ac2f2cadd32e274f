"""The tokens that a language model trains on: clips of one or several token corpora, whole in memory.

Letters: N tokens of a clip, V tokens of the audio vocabulary, C characters of its text.
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
    """Clips' tokens in [0, V), one after another in `tokens` int32; clip i is tokens[offsets[i] : offsets[i + 1]].

    `texts` are the clips' texts, each int32 (C,) of character numbers; none at all for a model that knows no text.
    """

    source: TokenSource
    tokens: np.ndarray
    offsets: np.ndarray
    labels: tuple[str, ...]
    texts: tuple[np.ndarray, ...] = ()

    @classmethod
    def of(
        cls,
        source: TokenSource,
        clips: Sequence[np.ndarray],
        labels: Sequence[str] = (),
        texts: Sequence[np.ndarray] = (),
    ) -> Clips:
        """Of clips (N,), and a text of each where there are texts; those without tokens are left out.

        Raises TrainConfigError where none is left.
        """
        kept = [index for index, clip in enumerate(clips) if len(clip)]
        if not kept:
            raise TrainConfigError(f"no tokens to train on in {', '.join(labels) or 'the clips given'}")
        offsets = np.cumsum([0, *(len(clips[index]) for index in kept)], dtype=np.int64)
        tokens = np.concatenate([clips[index] for index in kept]).astype(np.int32)
        kept_texts = tuple(texts[index].astype(np.int32) for index in kept) if len(texts) else ()
        return cls(source, tokens, offsets, tuple(labels), kept_texts)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """N of each clip, int64."""
        return np.diff(self.offsets)

    def clip(self, index: int) -> np.ndarray:
        """A clip's tokens int32 (N,)."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    @property
    def text_lengths(self) -> np.ndarray:
        """C of each clip, int64; zeros where there are no texts."""
        return np.array([len(text) for text in self.texts] or [0] * len(self), dtype=np.int64)

    def text(self, index: int) -> np.ndarray:
        """A clip's text int32 (C,), which is empty where there are no texts."""
        return self.texts[index] if self.texts else np.zeros(0, np.int32)

    def first(self, count: int) -> Clips:
        """The first `count` clips; all where it is 0."""
        if not count or count >= len(self):
            return self
        tokens, offsets = self.tokens[: self.offsets[count]], self.offsets[: count + 1]
        return Clips(self.source, tokens, offsets, self.labels, self.texts[:count])

    @property
    def fingerprint(self) -> str:
        """A hash of the codec, all tokens and all texts."""
        digest = hashlib.sha256(self.source.codec_hash.encode())
        texts = (self.text_lengths, np.concatenate(self.texts)) if self.texts else ()
        for part in (self.offsets, self.tokens, *texts):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def open_clips(places: Sequence[str], source: TokenSource | None = None) -> Clips:
    """The clips of token corpora ("FOLDER" or "FOLDER:SPLIT"), in order.

    Raises TrainConfigError where they are of different codecs, or of another than `source`; TokenCorpusError for one
    that cannot be read.
    """
    corpora = open_corpora(places, source)
    clips = [clip for corpus in corpora for clip in corpus.ids()]
    return Clips.of(corpora[0].source, clips, [corpus.label for corpus in corpora])


def open_corpora(places: Sequence[str], source: TokenSource | None = None) -> list[TokenCorpus]:
    """Token corpora of one codec. Raises as `open_clips` does."""
    corpora = [TokenCorpus.open(place) for place in places]
    for corpus in corpora:
        expected = source or corpora[0].source
        if corpus.source.codec_hash != expected.codec_hash:
            other = corpus.source
            raise TrainConfigError(
                f"{corpus.label} holds tokens of codec {other.codec_hash[:12]} ({other.codec_name}), the others are of "
                f"{expected.codec_hash[:12]} ({expected.codec_name}): one language model takes the tokens of one codec"
            )
    return corpora
