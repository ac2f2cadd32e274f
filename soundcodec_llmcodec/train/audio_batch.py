"""The batch of a step, and how processes and pieces share it.

Letters: B batch, F frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.train.train_config import TrainConfig


@dataclass(frozen=True)
class AudioBatch:
    """padded (B, (F - 1) * hop + n_fft): what the encoder sees; target (B, F * hop): what the decoder should give; the
    clips' ids, and their texts where the crop holds the words. `first_row` is its place in the step's whole batch."""

    padded: Tensor
    target: Tensor
    ids: tuple[str, ...]
    texts: tuple[str | None, ...]
    first_row: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, rows: slice) -> AudioBatch:
        """Some rows."""
        first = self.first_row + rows.start
        return AudioBatch(self.padded[rows], self.target[rows], self.ids[rows], self.texts[rows], first)


@dataclass(frozen=True)
class Shares:
    """The weights of a piece's losses in the step's loss.

    `piece` weighs a mean over the piece's rows, `texts` a mean over its texts; `n_texts` is how many texts the LLM
    reads in the step's whole batch.
    """

    piece: float
    texts: float
    n_texts: int = 0


def pieces_of(batch: AudioBatch, world: World, accumulation: int) -> Iterator[AudioBatch]:
    """This process's rows of the batch, in as many pieces as gradients are accumulated over."""
    local_rows = batch.part(world.rows(len(batch)))
    size = len(local_rows) // accumulation
    for start in range(0, len(local_rows), size):
        yield local_rows.part(slice(start, start + size))


def texts_read(batch: AudioBatch, world: World, config: TrainConfig) -> tuple[str | None, ...]:
    """The texts of those clips that the LLM reads, the first of each piece; None for the others."""
    size = len(batch) // (world.size * config.accumulation)
    read = config.language.clips_read(size)
    return tuple(text if row % size < read else None for row, text in enumerate(batch.texts))


def text_share(part: AudioBatch, parts: list[AudioBatch], world: World, texts: int) -> float:
    """What a mean over this piece's texts has to count so that the mean over all pieces is that over all texts."""
    here = sum(text is not None for text in part.texts)
    return here * len(parts) * world.size / texts if texts else 0.0
