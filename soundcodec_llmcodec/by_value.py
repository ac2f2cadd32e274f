"""Results that are pickled with their numbers in them.

PyTorch pickles a tensor between processes by a file descriptor, which stays open as long as the tensor is there: a pool
that gives back a thousand clips' tokens ends with "too many open files". Tokens are small; an array is pickled whole.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _ByValue:
    """A tensor that is pickled as an array and comes back as a tensor on the CPU."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.from_numpy, (self.tensor.detach().cpu().numpy(),)


class PickledByValue:
    """A dataclass whose fields that are tensors, or lists of them, are pickled as arrays; all others as they are."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: _each(value, _packed) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copying hands over what __getstate__ gave, without pickling it.
        vars(self).update({name: _each(value, _unpacked) for name, value in state.items()})


def _each(value: Any, change: Any) -> Any:
    return [change(item) for item in value] if isinstance(value, list) else change(value)


def _packed(value: Any) -> Any:
    return _ByValue(value) if isinstance(value, Tensor) else value


def _unpacked(value: Any) -> Any:
    return value.tensor if isinstance(value, _ByValue) else value
