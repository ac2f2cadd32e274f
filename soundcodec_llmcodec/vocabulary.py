"""Code <-> "<CODEC_i>" <-> token id of a language model, by arithmetic only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from soundcodec_llmcodec.token_ids import token_text

_SHOWN = 5


@dataclass(frozen=True)
class TokenSpec:
    """Where the codes stand in a language model's vocabulary: code c is the id `first_id` + c.

    Codes and ids may be whole numbers, lists or tuples of them (nested where they make a rectangle), arrays or tensors
    of any shape; what comes back is of the same kind, 64 bits wide (small types cannot hold the ids).
    """

    first_id: int
    codebook_size: int

    def __post_init__(self) -> None:
        if self.first_id < 0 or self.codebook_size < 1:
            raise ValueError(f"expected first_id >= 0 and codebook_size >= 1, got {self}")

    @property
    def end_id(self) -> int:
        """One more than the last code's id."""
        return self.first_id + self.codebook_size

    def ids(self, codes: Any) -> Any:
        """Token ids of codes. Raises ValueError for codes outside [0, codebook_size), naming them."""
        numbers = _whole(codes)
        _refuse(numbers, (numbers < 0) | (numbers >= self.codebook_size), f"codes outside [0, {self.codebook_size})")
        return _like(codes, numbers + self.first_id)

    def codes(self, ids: Any) -> Any:
        """Codes of token ids. Raises ValueError for ids that are no codes, naming them."""
        numbers = _whole(ids)
        _refuse(numbers, ~self._inside(numbers), f"ids that are no codes, which are [{self.first_id}, {self.end_id})")
        return _like(ids, numbers - self.first_id)

    def is_code(self, ids: Any) -> Any:
        """Which token ids are codes: booleans of the same kind and shape."""
        return _like(ids, self._inside(_whole(ids)))

    def names(self) -> list[str]:
        """The tokens' texts, "<CODEC_0>" first."""
        return [token_text([code]) for code in range(self.codebook_size)]

    def to_dict(self) -> dict[str, int]:
        """Plain numbers for JSON."""
        return {"first_id": self.first_id, "codebook_size": self.codebook_size}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TokenSpec:
        """The inverse of `to_dict`. Raises ValueError for missing, unknown or fractional fields."""
        expected = {"first_id", "codebook_size"}
        if set(fields) != expected or not all(type(value) is int for value in fields.values()):
            raise ValueError(f"expected whole numbers first_id and codebook_size, got {dict(fields)}")
        return cls(**fields)

    def _inside(self, ids: Any) -> Any:
        return (ids >= self.first_id) & (ids < self.end_id)


def _whole(numbers: Any) -> Any:
    """Whole numbers as a tensor or an array of int64."""
    if isinstance(numbers, torch.Tensor):
        if numbers.dtype.is_floating_point or numbers.dtype.is_complex or numbers.dtype == torch.bool:
            raise ValueError(f"expected whole numbers, got a tensor of {numbers.dtype}")
        return numbers.long()
    try:
        array = np.asarray(numbers)
    except ValueError as error:
        raise ValueError(f"the list of numbers is ragged: {error}") from error
    if not array.size and not isinstance(numbers, np.ndarray):
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise ValueError(f"expected whole numbers, got {type(numbers).__name__} of {array.dtype}")
    if array.dtype == np.uint64 and (array > np.iinfo(np.int64).max).any():
        raise ValueError(f"expected numbers below 2^63, got {int(array.max())}")
    return array.astype(np.int64)


def _like(original: Any, result: Any) -> Any:
    """A result in the form of what was given."""
    if isinstance(original, (torch.Tensor, np.ndarray)):
        return result
    return tuple(result.tolist()) if isinstance(original, tuple) else result.tolist()


def _refuse(numbers: Any, bad: Any, what: str) -> None:
    if not bad.any():
        return
    values = numbers[bad].reshape(-1)
    examples = ", ".join(str(int(value)) for value in values[:_SHOWN])
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    raise ValueError(f"{len(values)} of {len(numbers.reshape(-1))} are {what}: {examples}{more}")
