"""Where weights come from and go to: named, local and hub checkpoints; safetensors; hashes.

A checkpoint is a folder with `config.json` and `model.safetensors`; the published `.pt` state dicts are read too
(`weights_only=True`, never a pickle). The config names the hash of its weights, and the weights carry a copy of the
config: whoever reads while another saves has the old checkpoint or the new one, never a mix of both.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from soundcodec_llmcodec.checkpoint_files import (
    CONFIG_FILE,
    FORMAT,
    FORMAT_VERSION,
    PUBLISHED,
    WEIGHTS_FILE,
    CheckpointFiles,
    config_of,
    download,
    hub_files,
    is_hub_id,
    local_files,
    read_described,
)
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.absent_encoder import AbsentEncoder
from soundcodec_llmcodec.nn.compiled import plain_state
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.shapes_only import shapes_only
from soundcodec_llmcodec.teachers import PREFIX as TEACHER
from soundcodec_llmcodec.teachers import is_left_out, left_out_tensors, teacher_hash
from soundcodec_llmcodec.weights_files import CheckpointError, TeacherError, read_tensors
from soundcodec_llmcodec.weights_int8 import packed, unpacked

CHECKPOINT_VARIABLE = "LLMCODEC_CHECKPOINT"
DEFAULT_NAME = "llmcodec"
# In config.json; and the metadata of the weights, which hold all of config.json.
_HASH_FIELD, _CONFIG_FIELD = "weights_hash", "config"
_TEACHER_FIELD = "teacher_hash"  # in config.json, where the weights leave the teacher out
ASSETS = Path(__file__).parent / "assets"
BUNDLED = ASSETS / DEFAULT_NAME
BASE_NAME = "llmcodec_base"
# Checkpoints that come with the package: the default one, and the one trained alike but without any objective for
# language models, to compare it with.
BUNDLED_NAMES = (DEFAULT_NAME, BASE_NAME)
NAMES = (*BUNDLED_NAMES, *(name for name in PUBLISHED if name != "auv"))


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: its config, float32 model in eval mode, name, and free information from its config.json."""

    config: CodecConfig
    model: CodecModel
    name: str
    info: Mapping[str, Any] = field(default_factory=dict)


def resolve(name: str = DEFAULT_NAME, checkpoint: str | os.PathLike[str] | None = None) -> str:
    """The source to load: `checkpoint` if given, else $LLMCODEC_CHECKPOINT for the default codec, else the name."""
    if checkpoint is not None:
        return os.fspath(checkpoint)
    if name == DEFAULT_NAME:
        return os.environ.get(CHECKPOINT_VARIABLE) or name
    return name


def load(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    device: str | torch.device = "cpu",
) -> Checkpoint:
    """Load a checkpoint from a name, a folder, a `.safetensors` or `.pt` file, or a hub id (`owner/name`).

    A folder or repository that holds a language model is read for the published codec's `.pt` in it; a `.pt` may be a
    training checkpoint of the published code, whose codec is under the key "auv".

    Raises CheckpointError when nothing is found, when keys or shapes differ from what the config describes, or when
    the device cannot be used. A codec whose speech encoder is left out and cannot be had decodes; encoding raises
    TeacherError, with what is missing.
    """
    text = os.fspath(source)
    device = usable_device(device)
    path = Path(text).expanduser()
    files = _files_of(text, path, revision, local_files_only)
    where = files.config_path or files.weights_path
    tensors, metadata = read_tensors(files.weights_path)
    # The config was read first: who saves puts it down last, so that a new config is never read with old weights.
    described = _of_these_weights(files.described, metadata, where)
    config, info = config_of(described, where)
    absent = None
    if config.semantic is not None and not any(name.startswith(TEACHER) for name in tensors):
        try:
            tensors |= _left_out(config, described.get(_TEACHER_FIELD), str(files.weights_path))
        except TeacherError as error:
            # Decoding does without; whoever encodes is told what is missing.
            if _HASH_FIELD not in described:
                raise
            absent = AbsentEncoder(str(error), described[_HASH_FIELD])
    model = build(config, tensors, str(files.weights_path), absent).to(device)
    return Checkpoint(config, model, _name_of(text, path), info)


def _files_of(text: str, path: Path, revision: str | None, local_files_only: bool) -> CheckpointFiles:
    """Where the checkpoint lies that `load` is asked for. Raises CheckpointError where it is nowhere."""
    if text in BUNDLED_NAMES:
        config_path, weights_path = ASSETS / text / CONFIG_FILE, ASSETS / text / WEIGHTS_FILE
        if not config_path.is_file():
            raise CheckpointError(
                f"{text!r} comes with the package, but this install has no {config_path}: install it anew"
            )
        return CheckpointFiles(weights_path, config_path, read_described(config_path))
    if path.exists():
        return local_files(path)
    if text in PUBLISHED:
        return CheckpointFiles(download(*PUBLISHED[text], revision, local_files_only))
    if is_hub_id(text):
        return hub_files(text, revision, local_files_only)
    names = ", ".join((*BUNDLED_NAMES, *PUBLISHED))
    raise CheckpointError(f"nothing is at {text!r}: expected a folder, a file, a hub id 'owner/name' or {names}")


def _left_out(config: CodecConfig, wanted_hash: str | None, where: str) -> dict[str, Tensor]:
    """The frozen encoder that a checkpoint leaves out: the bundled codec's if that is the one, else its source's."""
    held, held_hash = _bundled_teacher()
    return held if held_hash == wanted_hash else left_out_tensors(config, wanted_hash, where)


def _bundled_teacher() -> tuple[dict[str, Tensor], str]:
    """The frozen encoder in the bundled codec's file, and its hash."""
    bundled = BUNDLED / WEIGHTS_FILE
    tensors = read_tensors(bundled)[0] if bundled.is_file() else {}
    held = {name: tensor.float() for name, tensor in tensors.items() if name.startswith(TEACHER)}
    return held, _hash_of_teacher(held)


def _hash_of_teacher(tensors: Mapping[str, Tensor]) -> str:
    """The hash of what of a codec's tensors is its teacher's."""
    return teacher_hash(
        {name.removeprefix(TEACHER): held for name, held in tensors.items() if name.startswith(TEACHER)}
    )


def usable_device(name: str | torch.device) -> torch.device:
    """The device of that name. Raises CheckpointError where nothing can be put on it here."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0][:120]
        raise CheckpointError(f"cannot use the device {str(name)!r}: {why}. Use cpu, or one that is here") from error
    return device


def save(
    folder: str | os.PathLike[str],
    config: CodecConfig,
    model: CodecModel,
    info: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    teacher: bool | None = None,
) -> Path:
    """Write `config.json` and `model.safetensors` (floats as `dtype`) into a folder, whole or not at all.

    torch.int8 stores matrices at 8 bits (`weights_int8`) and other floats in float16, in half of float16's file.

    Without `teacher` a semantic branch's frozen encoder is left out, and named by its hash: who reads the checkpoint
    needs the teacher's package or model, unless the bundled codec holds the same one. None leaves those out that have
    more than teachers.MOST_PARAMETERS_INSIDE parameters.

    A checkpoint that is there is replaced in one step, when the weights take their place: whoever reads before, or
    after a save that was killed before, has the old one. Raises OSError where it cannot be written.
    """
    check_teacher_is_there(model)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = plain_state(model)
    tensors = _stored(state, dtype)
    # As they are read back: in float32.
    read_back = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in unpacked(tensors).items()
    }
    branch = model.tokenizer.semantic
    left_out = branch is not None and (is_left_out(branch.encoder) if teacher is None else not teacher)
    if left_out and _hash_of_teacher(read_back) != _bundled_teacher()[1]:
        # Nobody has it as this file's type would round it: it will be read from where it came from.
        read_back |= {name: tensor for name, tensor in state.items() if name.startswith(TEACHER)}
    hashed = _tensors_hash(config, read_back)
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "codec": config.to_dict(),
        "info": dict(info or {}),
        _HASH_FIELD: hashed,
    }
    if left_out:
        described[_TEACHER_FIELD] = _hash_of_teacher(read_back)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(TEACHER)}
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        # One entry: safetensors writes several in any order, and equal weights should make equal files.
        metadata = {_CONFIG_FIELD: text}
        try:
            save_file(tensors, Path(scratch) / WEIGHTS_FILE, metadata=metadata)
        except SafetensorError as error:
            raise OSError(f"cannot write {folder / WEIGHTS_FILE}: {error}") from error
        (Path(scratch) / CONFIG_FILE).write_text(text, encoding="utf-8")
        # The config goes last: a folder with a config.json is a whole checkpoint.
        for name in (WEIGHTS_FILE, CONFIG_FILE):
            # safetensors makes files that only their owner can read; a checkpoint is for everyone who has the folder.
            (Path(scratch) / name).chmod(0o644)
            os.replace(Path(scratch) / name, folder / name)
    return folder


def _stored(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors as a file of that type holds them."""
    if dtype == torch.int8:
        return packed({name: tensor.detach().cpu() for name, tensor in tensors.items()})
    return {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in tensors.items()
    }


def weights_hash(config: CodecConfig, model: CodecModel) -> str:
    """SHA-256 (64 hex digits) of the config and every tensor, the same however the weights were stored."""
    absent = absent_encoder(model)
    return _tensors_hash(config, plain_state(model)) if absent is None else absent.weights_hash


def absent_encoder(model: CodecModel) -> AbsentEncoder | None:
    """What stands where a codec's speech encoder could not be had; None for a whole codec."""
    branch = model.tokenizer.semantic
    return branch.encoder if branch is not None and isinstance(branch.encoder, AbsentEncoder) else None


def check_teacher_is_there(model: CodecModel) -> None:
    """Raise TeacherError, with what is missing, for a codec whose speech encoder could not be had."""
    absent = absent_encoder(model)
    if absent is not None:
        absent()


def _tensors_hash(config: CodecConfig, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        # As bytes: numpy has no bfloat16.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def first_levels(model: CodecModel, config: CodecConfig) -> CodecModel:
    """A model of `config`, which has fewer codebook levels than `model`'s and is else the same, with its weights."""
    check_teacher_is_there(model)
    levels, prefix = config.num_quantizers, "tokenizer.vq.quantizers."
    tensors = {
        name: tensor
        for name, tensor in plain_state(model).items()
        if not name.startswith(prefix) or int(name.removeprefix(prefix).split(".")[0]) < levels
    }
    with torch.inference_mode(False):
        return build(config, tensors, f"the first {levels} levels").to(next(model.parameters()).device)


def build(
    config: CodecConfig, tensors: Mapping[str, Tensor], where: str, absent: AbsentEncoder | None = None
) -> CodecModel:
    """A float32 model in eval mode holding exactly these tensors, and what is `absent` in place of a speech encoder;
    shapes are checked before anything is allocated."""
    # A module for each layer is made even without memory, so a number that is absurd would take for ever.
    layers = config.encoder_layers + config.decoder_layers + config.num_quantizers
    if layers > len(tensors):
        raise CheckpointError(
            f"{where} does not hold the weights that its config describes: {len(tensors)} tensors for {layers} layers"
        )
    try:
        with shapes_only():
            model = CodecModel(config, absent)
    except (RuntimeError, OverflowError, TypeError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0][:120]
        raise CheckpointError(f"{where}: no model has the sizes that its config describes: {why}") from error
    model_state = model.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in model_state.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"missing {name}" for name in expected if name not in shapes]
    problems += [f"unexpected {name}" for name in shapes if name not in expected]
    problems += [
        f"{name} is {shapes[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    problems += [
        f"{name} is {tensors[name].dtype}, expected {tensor.dtype}"
        for name, tensor in model_state.items()
        if name in tensors and tensor.is_floating_point() != tensors[name].is_floating_point()
    ]
    if problems:
        summary = "; ".join(problems[:4]) + (f"; and {len(problems) - 4} more" if len(problems) > 4 else "")
        raise CheckpointError(f"{where} does not hold the weights that its config describes: {summary}")
    whole = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    model.load_state_dict(whole, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _of_these_weights(described: Any, metadata: Mapping[str, str], where: Path) -> Any:
    """What describes a checkpoint, by its `config.json` and its weights' metadata."""
    if described is not None and _CONFIG_FIELD in metadata:
        try:
            held = json.loads(metadata[_CONFIG_FIELD])
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"the config in the weights beside {where} cannot be read: {error}") from error
        if not isinstance(held, dict) or not isinstance(described, dict) or _HASH_FIELD not in held:
            raise CheckpointError(f'{where} is no codec checkpoint: expected "format": "{FORMAT}"')
        if held[_HASH_FIELD] != described.get(_HASH_FIELD):
            # A save is between its two steps, or was killed there: the weights are the new ones, with their config.
            return held
    return described


def _name_of(text: str, path: Path) -> str:
    return path.resolve().name if path.exists() and text not in BUNDLED_NAMES else text
