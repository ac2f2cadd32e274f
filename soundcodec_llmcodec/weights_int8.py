"""Weights at 8 bits: matrices as int8 with a scale for every 64 numbers of a row, which reading multiplies out again.

A file holds `NAME` as int8 of the tensor's own shape, and `NAME.int8_scale` as float16 (rows, groups): what 127 stands
for. What is rounded is the codec: whoever reads the file has the same float32 weights, tokens and hash.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

SCALE = ".int8_scale"
GROUP = 64
# Smaller tensors are not worth a scale, and norms, biases and windows are better left at 16 bits.
_LEAST_NUMBERS = 2**14
_MOST = 127


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as a file of 8 bits holds them: rows of at least 64 numbers as int8, other floats as float16."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            stored[name] = tensor
        elif tensor.ndim < 2 or tensor.numel() < _LEAST_NUMBERS or tensor[0].numel() < GROUP:
            stored[name] = tensor.half()
        else:
            rows = _grouped(tensor.float())
            # As it is stored, so that rounding it costs nothing but at the group's largest number.
            scale = rows.abs().amax(2).half().clamp_min(torch.finfo(torch.float16).tiny)
            numbers = (rows * (_MOST / scale.float())[..., None]).round().clamp(-_MOST, _MOST).to(torch.int8)
            stored[name] = _ungrouped(numbers, tensor.shape)
            stored[name + SCALE] = scale
    return stored


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as a model takes them: int8 with a scale beside it as float32, all others as they are.

    Raises ValueError for a scale without its tensor, or one of another shape.
    """
    restored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE):
            if tensors.get(name.removesuffix(SCALE), tensor).dtype != torch.int8:
                raise ValueError(f"{name} has no int8 tensor that it scales")
            continue
        scale = tensors.get(name + SCALE)
        if tensor.dtype != torch.int8 or scale is None:
            restored[name] = tensor
            continue
        if tensor.ndim < 2 or not tensor.numel():
            raise ValueError(f"{name} is {tuple(tensor.shape)}, which has no rows to scale")
        rows = _grouped(tensor.float())
        if scale.shape != rows.shape[:2] or not scale.is_floating_point():
            raise ValueError(f"{name}{SCALE} is {tuple(scale.shape)}, expected floats of {tuple(rows.shape[:2])}")
        restored[name] = _ungrouped(rows * (scale.float() / _MOST)[..., None], tensor.shape)
    return restored


def _grouped(tensor: Tensor) -> Tensor:
    """(rows, groups, 64), the last group of a row filled with zeros."""
    rows = tensor.reshape(tensor.shape[0], -1)
    return functional.pad(rows, (0, -rows.shape[1] % GROUP)).unflatten(1, (-1, GROUP))


def _ungrouped(rows: Tensor, shape: torch.Size) -> Tensor:
    return rows.flatten(1)[:, : shape[1:].numel()].reshape(shape).contiguous()
