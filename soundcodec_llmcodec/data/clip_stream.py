"""The clips of a data set as one stream, by the place's text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from soundcodec_llmcodec.data import DataError, DataRow, Place, open_dataset

__all__ = ["DataError", "Source"]


@dataclass(frozen=True)
class Source(Place):
    """A data set and its split, as `data.open_dataset` reads it."""

    def items(self) -> Iterator[DataRow]:
        """The clips in a fixed order. Raises DataError."""
        yield from open_dataset(f"{self.place}:{self.split}" if self.split else self.place).rows()

    def count(self) -> int:
        """The number of clips. Raises DataError."""
        return open_dataset(f"{self.place}:{self.split}" if self.split else self.place).size
