"""Frozen speech encoders that lie in installed packages: their files, read without running any of the package's code.

Letters: W width, M mel bands.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec.weights_files import TeacherError

# CTranslate2's numbers for the types of tensors.
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BINARY_VERSION = 6
_HAMA_MAGIC, _HAMA_VERSION, _HAMA_TYPES = b"HAMAPK", 1, {0: np.float32, 1: np.float16}
_HAMA_FILE = "asr_waveform.hama"


class _Reader:
    """Numbers and texts of a binary file, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.place = 0

    def numbers(self, form: str) -> tuple[int, ...]:
        size = struct.calcsize("<" + form)
        return struct.unpack("<" + form, self.bytes(size))

    def bytes(self, size: int) -> memoryview:
        self.place += size
        if self.place > len(self.data):
            raise TeacherError("the file of a speech encoder ends too early: install its package again")
        return self.data[self.place - size : self.place]


def ctranslate2_tensors(data: bytes, where: str, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a CTranslate2 `model.bin` by name, as float32, of names that begin with `prefix`.

    Raises TeacherError for another format.
    """
    reader = _Reader(data)

    def text() -> str:
        (length,) = reader.numbers("H")
        return bytes(reader.bytes(length)[:-1]).decode()

    (version,) = reader.numbers("I")
    if version != _BINARY_VERSION:
        raise TeacherError(f"{where} has CTranslate2's binary version {version}, expected {_BINARY_VERSION}")
    text()
    _revision, count = reader.numbers("II")
    tensors: dict[str, Tensor] = {}
    for _ in range(count):
        name = text()
        (rank,) = reader.numbers("B")
        shape = reader.numbers("I" * rank)
        kind, size = reader.numbers("BI")
        values = reader.bytes(size)
        if name.startswith(prefix):
            tensors[name] = torch.from_numpy(np.frombuffer(values, _TYPES[kind]).reshape(shape).astype(np.float32))
    return tensors


def hama_tensors(data: bytes, where: str) -> dict[str, Tensor]:
    """The tensors of a `.hama` file by name, as float32: a table of names, types, shapes and places, then the numbers.

    Raises TeacherError for another format.
    """
    reader = _Reader(data)
    magic, (version, _kind) = bytes(reader.bytes(len(_HAMA_MAGIC))), reader.numbers("BB")
    if magic != _HAMA_MAGIC or version != _HAMA_VERSION:
        raise TeacherError(f"{where} is no model of hama 1.7: {magic!r} version {version}; install hama>=1.7,<2")
    (count,) = reader.numbers("I")
    table: list[tuple[str, int, tuple[int, ...], int, int]] = []
    for _ in range(count):
        (length,) = reader.numbers("H")
        name = bytes(reader.bytes(length)).decode()
        kind, rank = reader.numbers("BB")
        shape = reader.numbers("I" * rank)
        start, size = reader.numbers("QQ")
        table.append((name, kind, shape, start, size))
    # Places count from where the numbers begin, and they end with the file.
    first = len(data) - max(start + size for _, _, _, start, size in table)
    return {
        name: torch.from_numpy(
            np.frombuffer(reader.data[first + start : first + start + size], _HAMA_TYPES[kind])
            .reshape(shape)
            .astype(np.float32)
        )
        for name, kind, shape, start, size in table
    }


def whisper(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Whisper's encoder in CTranslate2's file, in one part or several, under the names of `nn.whisper_encoder`."""
    parts = [_file(folder, "model.bin*") for folder in folders]
    where = " and ".join(map(str, parts))
    data = b"".join(part.read_bytes() for part in parts)
    tensors = ctranslate2_tensors(data, where, "encoder/")
    state: dict[str, Tensor] = {}
    for conv in ("conv1", "conv2"):
        state |= _pair(tensors, conv, f"encoder/{conv}")
    depth = 0
    while f"encoder/layer_{depth}/ffn/linear_0/weight" in tensors:
        ours, theirs = f"layers.{depth}", f"encoder/layer_{depth}"
        state |= _norm(tensors, f"{ours}.attention_norm", f"{theirs}/self_attention/layer_norm")
        state |= _pair(tensors, f"{ours}.attention.qkv", f"{theirs}/self_attention/linear_0")
        state |= _pair(tensors, f"{ours}.attention.out", f"{theirs}/self_attention/linear_1")
        state |= _norm(tensors, f"{ours}.ffn_norm", f"{theirs}/ffn/layer_norm")
        state |= _pair(tensors, f"{ours}.up", f"{theirs}/ffn/linear_0")
        state |= _pair(tensors, f"{ours}.down", f"{theirs}/ffn/linear_1")
        depth += 1
    return state


def hama(folders: Sequence[Path]) -> dict[str, Tensor]:
    """hama's recogniser under the names of `nn.hama_encoder`, without its projection to phonemes.

    Its matrices and convolutions have no names but the numbers that an exporter gave them, in the order of the network.
    """
    path = _file(folders[0], _HAMA_FILE)
    tensors = hama_tensors(path.read_bytes(), str(path))
    first, *convolutions = [tensor for name, tensor in tensors.items() if name.startswith("onnx::Conv_")]
    matrices = [tensor.t().contiguous() for name, tensor in tensors.items() if name.startswith("onnx::MatMul_")]
    state = {"filters": tensors["mel_fb"].t().contiguous(), "conv.weight": first, "conv.bias": convolutions[0]}
    for depth in range(len(matrices) // 6):
        ours, theirs = f"blocks.{depth}", f"acoustic_model.model.blocks.{depth}"
        up1, down1, qkv, out, up2, down2 = matrices[6 * depth : 6 * depth + 6]
        kernel, bias = convolutions[1 + 2 * depth : 3 + 2 * depth]
        state |= {f"{ours}.ffn1.up.weight": up1, f"{ours}.ffn1.down.weight": down1}
        state |= {f"{ours}.ffn2.up.weight": up2, f"{ours}.ffn2.down.weight": down2}
        state |= {f"{ours}.attention.qkv.weight": qkv, f"{ours}.attention.out.weight": out}
        state |= {f"{ours}.convolution.depthwise.weight": kernel, f"{ours}.convolution.depthwise.bias": bias}
        for half in ("ffn1", "ffn2"):
            state[f"{ours}.{half}.up.bias"] = tensors[f"{theirs}.{half}.fc1.bias"]
            state[f"{ours}.{half}.down.bias"] = tensors[f"{theirs}.{half}.fc2.bias"]
        state[f"{ours}.attention.qkv.bias"] = tensors[f"{theirs}.attn.in_proj_bias"]
        state[f"{ours}.attention.out.bias"] = tensors[f"{theirs}.attn.out_proj.bias"]
        for place, name in (("gate", "pointwise1"), ("out", "pointwise2")):
            state[f"{ours}.convolution.{place}.weight"] = tensors[f"{theirs}.conv.{name}.weight"][..., 0]
            state[f"{ours}.convolution.{place}.bias"] = tensors[f"{theirs}.conv.{name}.bias"]
        norms = {"ffn1.norm": "ffn1.norm", "attention.norm": "attn_norm", "convolution.norm": "conv.norm"}
        for place, name in {**norms, "ffn2.norm": "ffn2.norm", "norm": "norm"}.items():
            for kind in ("weight", "bias"):
                state[f"{ours}.{place}.{kind}"] = tensors[f"{theirs}.{name}.{kind}"]
    return state


def folder_of(module: str) -> Path | None:
    """Where an installed package lies, None for one that is not installed; nothing of the package is run."""
    spec = importlib.util.find_spec(module)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _file(folder: Path, pattern: str) -> Path:
    files = sorted(folder.rglob(pattern))
    if not files:
        raise TeacherError(f"the package in {folder} holds no {pattern}; install a release that does")
    return files[0]


def _pair(tensors: Mapping[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}.weight": tensors[f"{theirs}/weight"], f"{ours}.bias": tensors[f"{theirs}/bias"]}


def _norm(tensors: Mapping[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}.weight": tensors[f"{theirs}/gamma"], f"{ours}.bias": tensors[f"{theirs}/beta"]}
