"""What a run does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.harness import run_loop
from eval.harness.clips import ClipCorpus
from eval.harness.model_specs import Unloaded
from eval.reconstruction.codecs import CodecInfo, MeasuredCodec
from eval.reconstruction.metrics import Metric
from eval.reconstruction.originals import Originals
from eval.reconstruction.scoring import ORIGINALS


@dataclass(frozen=True)
class ReconstructionPlan:
    """What a run does: the codecs, the clips (at most `limit` a split), the metrics, and clips a batch."""

    models: Sequence[MeasuredCodec]
    corpus: ClipCorpus
    splits: Sequence[str]
    metrics: tuple[Metric, ...]
    batch_size: int
    limit: int | None = None
    unloaded: tuple[Unloaded, ...] = ()

    def __post_init__(self) -> None:
        names = [model.info.name for model in self.models]
        run_loop.check_plan(self.batch_size, names)
        if ORIGINALS in names:
            raise ValueError(f"{ORIGINALS!r} is the name of the clips themselves; give the model another")

    @property
    def measured(self) -> tuple[MeasuredCodec, ...]:
        """The codecs, and the originals where a metric has a floor."""
        return (*self.models, *([Originals()] if any(metric.has_floor for metric in self.metrics) else []))

    def metrics_of(self, info: CodecInfo) -> tuple[Metric, ...]:
        """The metrics that are computed of a codec, or of the originals."""
        return tuple(metric for metric in self.metrics if metric.has_floor or info.name != ORIGINALS)

    @property
    def total(self) -> int:
        """The number of clips."""
        return run_loop.n_items((self.corpus.splits[split].size for split in self.splits), self.limit)
