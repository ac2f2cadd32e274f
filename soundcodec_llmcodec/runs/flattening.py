"""State dicts as JSON with their tensors apart, which safetensors keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def flatten(value: Any, prefix: str, tensors: dict[str, Tensor]) -> Any:
    """A JSON-ready copy in which every tensor is {"tensor": name}; the tensors go into `tensors`."""
    if isinstance(value, Tensor):
        tensors[prefix] = storable(value)
        return {"tensor": prefix}
    if isinstance(value, Mapping):
        return {"dict": [[key, flatten(item, f"{prefix}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [flatten(item, f"{prefix}.{index}", tensors) for index, item in enumerate(value)]
    return value


def storable(tensor: Tensor) -> Tensor:
    """A copy as safetensors takes it: on the CPU, and sharing memory with no other."""
    return tensor.detach().cpu().contiguous().clone()


def unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `flatten` took apart."""
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: unflatten(item, tensors) for key, item in value["dict"]}
    if isinstance(value, list):
        return [unflatten(item, tensors) for item in value]
    return value
