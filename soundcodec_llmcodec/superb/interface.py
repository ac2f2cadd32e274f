"""What Codec-SUPERB expects of a codec, written down so that nothing here needs Codec-SUPERB.

`data` is an item {"id"?, "audio": {"array", "sampling_rate"} | {"path"} | {"bytes"} | path}; other keys are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from soundcodec_llmcodec.by_value import PickledByValue


@dataclass(frozen=True)
class ExtractedUnit(PickledByValue):
    """One item's tokens: `unit` int64 (F,), or (Q, F) for several levels; `stuff_for_synth` is for `decode_unit`."""

    unit: torch.Tensor
    stuff_for_synth: Any

    def to_dict(self) -> dict[str, Any]:
        """The fields under their names."""
        return {"unit": self.unit, "stuff_for_synth": self.stuff_for_synth}


@dataclass(frozen=True)
class BatchExtractedUnit(PickledByValue):
    """The tokens of `batch_size` items, in order; each as in ExtractedUnit."""

    units: list[torch.Tensor]
    stuff_for_synth: list[Any]
    batch_size: int

    def to_dict(self) -> dict[str, Any]:
        """The fields under their names."""
        return {"units": self.units, "stuff_for_synth": self.stuff_for_synth, "batch_size": self.batch_size}


@runtime_checkable
class CodecInterface(Protocol):
    """The methods and attributes by which Codec-SUPERB uses a codec."""

    sampling_rate: int
    setting: str
    supports_decode: bool
    device: str

    def config(self) -> None:
        """Load the model and set the attributes."""

    def is_1d(self) -> bool:
        """Whether a unit has only a time axis."""

    def extract_unit(self, data: Mapping[str, Any]) -> ExtractedUnit:
        """The item's tokens."""

    def decode_unit(self, stuff_for_synth: Any) -> np.ndarray:
        """Samples float32 (S,) at `sampling_rate`."""

    def synth(self, data: Mapping[str, Any], local_save: bool = True) -> dict[str, Any]:
        """The item with "unit", and its audio coded and decoded, at the item's own rate."""

    def batch_extract_unit(self, data_list: Sequence[Mapping[str, Any]]) -> BatchExtractedUnit:
        """`extract_unit` of each."""

    def batch_decode_unit(self, batch_extracted_unit: BatchExtractedUnit) -> list[np.ndarray]:
        """`decode_unit` of each."""

    def batch_synth(self, data_list: Sequence[Mapping[str, Any]], local_save: bool = True) -> list[dict[str, Any]]:
        """`synth` of each."""
