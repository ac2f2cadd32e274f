"""What a run finds out: a result for each codec and clip, and each codec's times and codes. All of it is plain data."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval.harness.model_specs import Unloaded
from eval.reconstruction.codecs import CodecInfo
from eval.reconstruction.metrics import Metric, Score
from soundcodec_llmcodec.measures.code_use import CodeUse


@dataclass(frozen=True)
class ClipResult:
    """What one codec did on one clip, the `index`-th of its split; `failure` is why there is no reconstruction.

    `digest` is the SHA-256 of the stored audio, `key` the clip's (CorpusClip.key); n_bits is the coded size where it
    was counted rather than configured.
    """

    model: str
    split: str
    index: int
    clip_id: str
    source: str
    seconds: float
    rate: int
    digest: str
    key: str
    n_tokens: int | None
    n_bits: int | None
    failure: str | None
    scores: dict[str, Score]

    def row(self) -> dict[str, Any]:
        """JSON-ready."""
        row = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "scores"}
        row["scores"] = {name: score.value for name, score in self.scores.items()}
        row["weights"] = {name: score.weight for name, score in self.scores.items() if score.weight != 1}
        row["reasons"] = {name: score.reason for name, score in self.scores.items() if score.reason is not None}
        return row

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> ClipResult:
        """The result that `row` wrote. Raises KeyError or TypeError for something else."""
        scores = {
            name: Score(value, row["reasons"].get(name), row["weights"].get(name, 1.0))
            for name, value in row["scores"].items()
        }
        return cls(
            **{item.name: row[item.name] for item in dataclasses.fields(cls) if item.name != "scores"}, scores=scores
        )


@dataclass
class Usage:
    """What coding cost, and which codes it used: counts of level * codebook_size + code. Adds up over batches."""

    encode_s: float = 0.0
    decode_s: float = 0.0
    timed_s: float = 0.0
    peak_mib: float | None = None
    codes: Counter[int] = field(default_factory=Counter)

    def add(self, other: Usage) -> None:
        """Add another's times and codes; the peak is the larger one."""
        self.encode_s += other.encode_s
        self.decode_s += other.decode_s
        self.timed_s += other.timed_s
        self.peak_mib = max((peak for peak in (self.peak_mib, other.peak_mib) if peak is not None), default=None)
        self.codes.update(other.codes)

    def count(self, codes: np.ndarray, codebook_size: int) -> None:
        """Count the codes int64 (Q, F) of a clip."""
        levels = np.arange(codes.shape[0])[:, None] * codebook_size
        self.codes.update(
            dict(zip(*(part.tolist() for part in np.unique(codes + levels, return_counts=True)), strict=True))
        )

    def entropy_bits(self, codebook_size: int) -> float | None:
        """Entropy in bits of one code by its frequencies here, the mean over levels; None without codes."""
        by_level: dict[int, list[int]] = {}
        for code, count in self.codes.items():
            by_level.setdefault(code // codebook_size, []).append(count)
        if not by_level:
            return None
        return CodeUse.of_counts(list(by_level.values())).entropy_bits

    def row(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "codes": {str(code): count for code, count in sorted(self.codes.items())}}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Usage:
        """The usage that `row` wrote."""
        codes = Counter({int(code): count for code, count in row["codes"].items()})
        return cls(row["encode_s"], row["decode_s"], row["timed_s"], row["peak_mib"], codes)


@dataclass
class SplitRun:
    """One codec on one split, filled while the run goes on."""

    clips: list[ClipResult] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def failures(self) -> list[ClipResult]:
        """The clips without a reconstruction."""
        return [clip for clip in self.clips if clip.failure is not None]

    @property
    def audio_s(self) -> float:
        """Seconds of audio that were reconstructed."""
        return math.fsum(clip.seconds for clip in self.clips if clip.failure is None)

    @property
    def encode_rtf(self) -> float | None:
        """Seconds of encoding per second of audio; None where a part of the audio was not timed (cached, not coded)."""
        return self.usage.encode_s / self.usage.timed_s if self._all_timed else None

    @property
    def decode_rtf(self) -> float | None:
        """Seconds of decoding per second of audio; None as for `encode_rtf`."""
        return self.usage.decode_s / self.usage.timed_s if self._all_timed else None

    @property
    def _all_timed(self) -> bool:
        return self.usage.timed_s > 0 and math.isclose(self.usage.timed_s, self.audio_s, rel_tol=1e-6)

    @property
    def counted_bps(self) -> float | None:
        """Bits per second of the clips whose coded size was counted; None where none was."""
        counted = [clip for clip in self.clips if clip.n_bits is not None]
        seconds = math.fsum(clip.seconds for clip in counted)
        return sum(clip.n_bits or 0 for clip in counted) / seconds if seconds else None


@dataclass(frozen=True)
class CodecRun:
    """One codec on the data set."""

    info: CodecInfo
    splits: dict[str, SplitRun]

    def part(self, split: str) -> SplitRun:
        """The split of this name; all splits as one for a name that none has."""
        part = self.splits.get(split)
        return self.overall if part is None else part

    @property
    def overall(self) -> SplitRun:
        """All splits as one, every clip counting once."""
        whole = SplitRun([clip for part in self.splits.values() for clip in part.clips])
        for part in self.splits.values():
            whole.usage.add(part.usage)
        return whole


@dataclass(frozen=True)
class ReconstructionRun:
    """All codecs on the same clips; `fingerprint` identifies those clips.

    `originals` are the clips themselves, scored by the metrics that have a floor; None where there is none.
    """

    models: list[CodecRun]
    metrics: tuple[Metric, ...]
    fingerprint: str
    unloaded: tuple[Unloaded, ...] = ()
    originals: CodecRun | None = None


def no_scores(metrics: Iterable[Metric], reason: str) -> dict[str, Score]:
    """The scores of a clip without a reconstruction."""
    return {metric.name: Score(reason=f"no reconstruction: {reason}") for metric in metrics}
