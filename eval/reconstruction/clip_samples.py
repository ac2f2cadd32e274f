"""A few clips of each split, as they were and as each codec gives them back, to be listened to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness.clips import CorpusClip
from eval.harness.sample_files import SampleFiles, sample_name

LONGEST_S = 8.0


class ClipSamples(SampleFiles):
    """Keeps the first `per_split` clips of every split."""

    def __init__(self, folder: Path, per_split: int) -> None:
        super().__init__(folder, per_split, LONGEST_S)

    def keep(self, clip: CorpusClip, clip_index: int, reconstructions: Mapping[str, np.ndarray]) -> None:
        """Write the clip, and each model's reconstruction of it."""
        self.write(sample_name(clip.split, clip_index), clip.samples, clip.rate)
        for model, samples in reconstructions.items():
            self.write(sample_name(clip.split, clip_index, model), samples, clip.rate)

    def names(self, splits: Sequence[str], models: Sequence[str]) -> Iterator[str]:
        """The files that it may write, relative to the run's folder."""
        for split in splits:
            for index in range(self.per_part):
                yield sample_name(split, index)
                yield from (sample_name(split, index, model) for model in models)

    def files_of(self, split: str, clip_index: int, models: list[str]) -> dict[str, Any] | None:
        """The files of a clip, relative to the run's folder; None where it was not kept."""
        original = sample_name(split, clip_index)
        if not self.exists(original):
            return None
        paths = {model: sample_name(split, clip_index, model) for model in models}
        return {"original": original, "models": {model: path for model, path in paths.items() if self.exists(path)}}
