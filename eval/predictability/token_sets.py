"""The tokens to predict, and those to count: of token corpora, or of the bundled clips made in memory.

Letters: N tokens of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.harness.model_specs import labelled
from soundcodec_llmcodec.data.token_corpus import TokenCorpus, TokenSource, token_ids

NO_TRAIN = "-"
MINI = "mini (synthetic)"
MINI_BATCH = 8
FORM = "[LABEL=]TRAIN,TEST[,LM_FOLDER...]"


class PredictError(ValueError):
    """Tokens or models that cannot be compared, with what was found and what was expected."""


@dataclass(frozen=True)
class TokenSetSpec:
    """What was asked for: token corpora to count and to predict ("DIR" or "DIR:split"), and LMs of this codec alone.

    Without `train`, each half of the test clips is predicted by counts of the other.
    """

    test: str
    train: str | None = None
    label: str | None = None
    lms: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TokenSetSpec:
        """[LABEL=]TRAIN,TEST[,LM_FOLDER...], where TRAIN is "-" for none. Raises PredictError."""
        label, rest = (None, text) if Path(text.split(",")[0]).exists() else labelled(text)
        parts = [part.strip() for part in rest.split(",")]
        if len(parts) < 2 or not all(parts):
            raise PredictError(f"expected {FORM}, with {NO_TRAIN!r} for no TRAIN, got {text!r}")
        train, test, *lms = parts
        return cls(test, None if train == NO_TRAIN else train, label or None, tuple(lms))


@dataclass(frozen=True, eq=False)
class TokenSet:
    """A codec's tokens: `clips` to predict, int64 (N,) each, N >= 1, with their ids and seconds; `train` to count, or
    None for two-fold counting. `repeated` clips of the test have the very tokens of a training clip."""

    label: str
    source: TokenSource
    test_label: str
    train_label: str | None
    clip_ids: tuple[str, ...]
    clips: list[np.ndarray]
    seconds: np.ndarray
    train: list[np.ndarray] | None
    repeated: int = 0

    @property
    def n_tokens(self) -> int:
        """Tokens to predict."""
        return sum(len(clip) for clip in self.clips)

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second of audio here: the codec's rate, and a little more where frames reach beyond the clips."""
        return self.n_tokens / float(self.seconds.sum())


def read(spec: TokenSetSpec, limit: int | None = None) -> TokenSet:
    """The tokens of a spec, at most `limit` clips to predict. Raises PredictError or TokenCorpusError."""
    test = TokenCorpus.open(spec.test)
    stored = [clip for clip in test.clips() if len(clip.codes)][:limit]
    clips = [token_ids(clip.codes, test.source) for clip in stored]
    if not clips:
        raise PredictError(f"{test.label} has no clip with tokens")
    train = TokenCorpus.open(spec.train) if spec.train else None
    if train is not None and train.source.codec_hash != test.source.codec_hash:
        raise PredictError(
            f"{train.label} holds tokens of codec {train.source.codec_hash[:12]}, {test.label} of "
            f"{test.source.codec_hash[:12]}; counts of one say nothing about the other"
        )
    counted = [clip for clip in train.ids() if clip.size] if train is not None else None
    if train is None and len(clips) < 2:
        raise PredictError(f"{test.label} has one clip with tokens; name tokens to count with --train")
    return TokenSet(
        label=spec.label or test.source.codec_name,
        source=test.source,
        test_label=test.label,
        train_label=train.label if train is not None else None,
        clip_ids=tuple(clip.clip_id for clip in stored),
        clips=clips,
        seconds=np.array([clip.n_samples / test.source.sample_rate for clip in stored]),
        train=counted,
        repeated=_repeated(clips, counted or ()),
    )


def mini(limit: int | None = None) -> TokenSet:
    """The bundled clips by the bundled codec, made here: for a look at the program, not for reporting."""
    from eval.harness import corpora
    from eval.harness.codec_tokenizer import CodecTokenizer
    from soundcodec_llmcodec import checkpoints
    from soundcodec_llmcodec.llmcodec import LLMCodec

    tokenizer = CodecTokenizer(LLMCodec.from_pretrained(checkpoints.resolve()))
    corpus = corpora.load("mini")
    corpus_clips = [clip for split in corpus.chosen(None) for clip in corpus.clips(split, limit)]
    batches = (corpus_clips[start : start + MINI_BATCH] for start in range(0, len(corpus_clips), MINI_BATCH))
    clips = [ids for batch in batches for ids in tokenizer.tokens([(clip.samples, clip.rate) for clip in batch])]
    return TokenSet(
        label=tokenizer.source.codec_name,
        source=tokenizer.source,
        test_label=MINI,
        train_label=None,
        clip_ids=tuple(f"{clip.split}/{clip.clip_id}" for clip in corpus_clips),
        clips=clips,
        seconds=np.array([clip.seconds for clip in corpus_clips]),
        train=None,
    )


def same_clips(all_tokens: Sequence[TokenSet]) -> bool:
    """Whether all are tokens of clips of the same names and lengths (to 1 ms)."""
    first, *others = [
        sorted(zip(tokens.clip_ids, tokens.seconds.round(3).tolist(), strict=True)) for tokens in all_tokens
    ]
    return all(other == first for other in others)


def _repeated(clips: Sequence[np.ndarray], train: Sequence[np.ndarray]) -> int:
    train_bytes = {clip.tobytes() for clip in train}
    return sum(clip.tobytes() in train_bytes for clip in clips)
