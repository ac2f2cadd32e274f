"""Weights from files: safetensors, and the zipped state dicts of torch.save, of which nothing is ever executed."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from soundcodec_llmcodec.weights_int8 import unpacked

# Where the published training code keeps the codec in its checkpoints, beside optimizers and the language model's rows.
TRAINED_CODEC = "auv"
# How often reading begins again where somebody replaces the file meanwhile.
_ATTEMPTS = 100
# What torch.load and safetensors raise for files that are damaged, each at another place.
_UNREADABLE = (
    SafetensorError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    struct.error,
    TypeError,
    ValueError,
)


class CheckpointError(ValueError):
    """A checkpoint that cannot be found or does not hold what its config says."""


class TeacherError(CheckpointError):
    """A frozen speech encoder whose weights cannot be had, or are not what was asked for."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Tensors by name (those stored at 8 bits as float32), and the file's metadata.

    Raises CheckpointError, naming the file, for anything else in it.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        if not zipfile.is_zipfile(path):
            raise CheckpointError(f"{path} holds no weights: expected a .safetensors file, or a .pt of torch.save")
        # Mapped: of a training checkpoint the codec is a small part, and the rest is never read.
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except CheckpointError:
        raise
    except _UNREADABLE as error:
        raise CheckpointError(f"{path} cannot be read as weights: {error!r:.300}") from error
    tensors = state[TRAINED_CODEC] if isinstance(state, dict) and isinstance(state.get(TRAINED_CODEC), dict) else state
    has_names = isinstance(tensors, dict) and all(isinstance(name, str) for name in tensors)
    if not has_names or not all(_is_plain(tensor) for tensor in tensors.values()):
        raise CheckpointError(
            f"{path} is no plain state dict of tensors, as llm-codec.pt is, and no training checkpoint that has one "
            f"under {TRAINED_CODEC!r}: {_kind_of(state)}"
        )
    return {name: tensor.clone() for name, tensor in tensors.items()}, {}


def _kind_of(state: Any) -> str:
    if not isinstance(state, dict):
        return f"it holds a {type(state).__name__}"
    names = [repr(name)[:40] for name in state]
    return f"its keys are {', '.join(names[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Tensors and metadata of one and the same file, whoever replaces it meanwhile."""
    for _ in range(_ATTEMPTS):
        before = path.stat()
        # safetensors opens the file by its name twice, for the header and for the tensors.
        with safe_open(path, framework="pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        if _version(before) == _version(path.stat()):
            return unpacked(tensors), metadata
    raise OSError(f"it was replaced {_ATTEMPTS} times while it was read")


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _is_plain(tensor: Any) -> bool:
    """Whether it is a tensor with its own numbers in main memory, and as many as its shape says.

    A tensor can be made of one number and a stride of 0, which would grow to any size when it is copied.
    """
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
