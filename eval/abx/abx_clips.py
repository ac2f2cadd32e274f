"""The clips that ABX is measured on: those of a data set whose speaker is known, at 16 kHz.

Letters: S samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eval.abx.phone_alignments import AbxError
from eval.harness import corpora
from eval.harness.clips import ClipCorpus, fingerprint
from eval.representations.representation import SAMPLE_RATE
from soundcodec_llmcodec.audio import resample


@dataclass(frozen=True, eq=False)
class SpeakerClip:
    """A clip: its samples float32 (S,) at 16 kHz, and who speaks."""

    clip_id: str
    samples: np.ndarray
    speaker: str

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
        """The clips that can be read and have a speaker."""
        return (clip for clip in self._clips(ClipCounts()))

    def counted(self, counts: ClipCounts) -> Iterator[SpeakerClip]:
        """The same, counting on the way what is taken and what is left out."""
        return self._clips(counts)

    def _clips(self, counts: ClipCounts) -> Iterator[SpeakerClip]:
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
                if clip.speaker is None:
                    counts.without_speaker += 1
                    continue
                samples = clip.samples
                if clip.rate != SAMPLE_RATE:
                    samples = resample(samples, clip.rate, SAMPLE_RATE)
                clip_id = clip.clip_id if len(splits) == 1 else f"{split}/{clip.clip_id}"
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
