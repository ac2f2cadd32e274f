"""Modules made of shapes alone, for weights that are put in their place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Modules made within are on the device meta, and nothing is drawn or computed for them.

    What torch cannot do there by itself it does in Python, for which it imports its compiler: more time than all the
    rest of loading a checkpoint.
    """
    with torch.device("meta"), _ShapesAlone():
        yield


class _ShapesAlone(TorchFunctionMode):
    """Gives tensors of the right shape where a module would draw its first weights, or compute from them.

    What a module computes on a device that it names itself is left to it.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            tensor = kwargs["tensor"] if "tensor" in kwargs else args[0]
            if tensor.is_meta:
                return tensor
        if func is torch.norm_except_dim and args[0].is_meta:
            return _norms(*args, **kwargs)
        if func is torch.hann_window and kwargs.get("device") is None:
            return torch.empty(args[0], dtype=kwargs.get("dtype"))
        return func(*args, **kwargs)


def _norms(tensor: Tensor, power: int = 2, dim: int = 0) -> Tensor:
    """As norm_except_dim: the norms over all dimensions but one."""
    return torch.empty([size if axis == dim else 1 for axis, size in enumerate(tensor.shape)], dtype=tensor.dtype)
