"""The clips that ABX is measured on, at 16 kHz, with who speaks in them.

Letters: S samples.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from eval.abx.phone_alignments import AbxError
from eval.harness import corpora
from eval.harness.clips import ClipCorpus, fingerprint
from eval.representations.representation import SAMPLE_RATE
from soundcodec_llmcodec.audio import resample


@dataclass(frozen=True, eq=False)
class SpeakerClip:
    """A clip: its samples float32 (S,) at 16 kHz, and who speaks, where the data set tells."""

    clip_id: str
    samples: np.ndarray
    speaker: str | None

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class AbxClips:
    """A data set, the corpora of it that are taken (none: all), and at most how many clips of a split.

    Clips are read anew each time, so that a data set need not fit into memory.
    """

    corpus: ClipCorpus
    sources: tuple[str, ...] = ()
    limit: int | None = None

    @classmethod
    def open(cls, dataset: str, sources: tuple[str, ...] = (), limit: int | None = None) -> AbxClips:
        """The clips of "PLACE" or "PLACE:SPLIT". Raises DataError."""
        return cls(corpora.load(dataset), sources, limit)

    def __iter__(self) -> Iterator[SpeakerClip]:
        """The clips that can be read."""
        return self.counted(ClipCounts(), None)

    def counted(self, counts: ClipCounts, spoken: Collection[str] | None = ()) -> Iterator[SpeakerClip]:
        """The clips that can be read and have a speaker, or are `spoken` by one whom another file names (None: all);
        on the way, what is taken and what is left out is counted."""
        splits = self.corpus.chosen(None)
        for split in splits:
            taken = 0
            for clip in self.corpus.clips(split):
                if self.sources and clip.source not in self.sources:
                    counts.sources[clip.source] = counts.sources.get(clip.source, 0) + 1
                    continue
                if self.limit is not None and taken == self.limit:
                    break
                taken += 1
                if clip.problem is not None:
                    counts.unreadable += 1
                    continue
                clip_id = clip.clip_id if len(splits) == 1 else f"{split}/{clip.clip_id}"
                if clip.speaker is None and spoken is not None and clip_id not in spoken:
                    counts.without_speaker += 1
                    continue
                samples = clip.samples
                if clip.rate != SAMPLE_RATE:
                    samples = resample(samples, clip.rate, SAMPLE_RATE)
                counts.add(clip_id, clip.digest, len(samples) / SAMPLE_RATE)
                yield SpeakerClip(clip_id, samples, clip.speaker)


class ClipCounts:
    """What a pass over the clips met."""

    def __init__(self) -> None:
        self.clips: list[tuple[str, str, str]] = []
        self.seconds = 0.0
        self.unreadable = 0
        self.without_speaker = 0
        self.sources: dict[str, int] = {}

    def add(self, clip_id: str, digest: str, seconds: float) -> None:
        """One more clip."""
        self.clips.append(("", clip_id, digest))
        self.seconds += seconds

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the clips' names and stored audio."""
        return fingerprint(self.clips)

    def check(self, clips: AbxClips) -> None:
        """Raise AbxError where no clip is left."""
        if self.clips:
            return
        why = f"{self.without_speaker} have no speaker (column speaker_id), {self.unreadable} cannot be read"
        if self.sources:
            why += f", --corpus {' '.join(clips.sources)} leaves out those of {', '.join(sorted(self.sources))}"
        raise AbxError(f"{clips.corpus.label} has no clip to measure: {why}")
