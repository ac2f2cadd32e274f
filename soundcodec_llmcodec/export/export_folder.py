"""A folder of exported graphs: `codec.json` says what they take and give; it is written whole and checked when read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError
from soundcodec_llmcodec.files import sha256_of
from soundcodec_llmcodec.llmcodec import LLMCodec

ONNX = "llmcodec-onnx"
TORCH_EXPORT = "llmcodec-torch-export"
ENDINGS = {ONNX: ".onnx", TORCH_EXPORT: ".pt2"}
FORMAT_VERSION = 1
DESCRIPTION = "codec.json"

# What goes in and comes out, in the graphs' own order: name, dtype, shape. Numbers of a config stand for themselves.
ENCODER_INPUTS = (
    ("samples", "float32", ("batch", "samples")),
    ("lengths", "int64", ("batch",)),
    ("code_range", "int64", (2,)),
)
ENCODER_OUTPUTS = (
    ("codes", "int64", ("batch", "num_quantizers", "frames")),
    ("frames", "int64", ("batch",)),
    ("margins", "float32", ("batch", "num_quantizers", "frames")),
)
DECODER_INPUTS = (("codes", "int64", ("batch", "num_quantizers", "frames")), ("frames", "int64", ("batch",)))
DECODER_OUTPUTS = (("samples", "float32", ("batch", "frames * hop_length")),)
# What a decoder with a harmonic source takes and gives beside them.
HARMONIC_INPUTS = (("frame", "int64", (1,)), ("cycles", "float64", ("batch",)))
HARMONIC_OUTPUTS = (("cycles_of_frames", "float64", ("batch", "frames")),)

_NOTES = {
    "before_encoding": [
        "average the channels to one; scale integers to [-1, 1); do not normalise the loudness",
        "resample to sample_rate (soxr HQ is what the Python package uses)",
        "fill shorter items with anything finite at the end; lengths holds each item's own samples, at least 1",
        "code_range is [0, codebook_size], or a domain's range; nothing else is padded: the graph does the rest",
    ],
    "after_encoding": [
        "an item's own codes are codes[item, :, :frames[item]], ceil(length / hop_length) of them",
        "keep the original rate and number of samples beside the codes: decoding needs them to give back that many",
        "a margin below tie_margin is a near-tie: another runtime or batch size may decide it otherwise",
    ],
    "before_decoding": ["codes lie in [0, codebook_size); fill shorter items with 0; frames holds each item's own"],
    "after_decoding": [
        "an item's own samples are the first frames[item] * hop_length",
        "cut them to the original length at sample_rate, resample to the original rate, cut or fill to its samples",
    ],
}


_HARMONIC_NOTES = {
    "before_decoding": [
        *_NOTES["before_decoding"],
        "frame and cycles say where the harmonic source's pulses are: zeros for a whole clip; for a stretch of one, a "
        "frame of it and what cycles_of_frames was there when the stretch before it was decoded",
    ]
}


class ExportError(ValueError):
    """An export that cannot be made, written or read, with what was found and what to do."""


def describe(codec: LLMCodec, kind: str) -> dict[str, Any]:
    """What `codec.json` says of a codec, but for its files."""
    config, ending = codec.config, ENDINGS[kind]
    return {
        "format": kind,
        "format_version": FORMAT_VERSION,
        "codec_name": codec.name,
        "codec_hash": codec.weights_hash,
        "codec": config.to_dict(),
        "info": codec.info,
        "sample_rate": config.sample_rate,
        "hop_length": config.hop_length,
        "frame_rate": config.frame_rate,
        "num_quantizers": config.num_quantizers,
        "codebook_size": config.codebook_size,
        "domains": {name: [start, end] for name, start, end in config.codebook_partitions},
        "encoder": {
            "file": f"encoder{ending}",
            "inputs": _tensors(ENCODER_INPUTS, config),
            "outputs": _tensors(ENCODER_OUTPUTS, config),
        },
        "decoder": {
            "file": f"decoder{ending}",
            "inputs": _tensors(decoder_inputs(config), config),
            "outputs": _tensors(decoder_outputs(config), config),
        },
        "notes": _NOTES if config.harmonics is None else {**_NOTES, **_HARMONIC_NOTES},
        "made_with": {"torch": torch.__version__},
    }


def decoder_inputs(config: CodecConfig) -> tuple[Any, ...]:
    """What the decoder's graph takes."""
    return DECODER_INPUTS if config.harmonics is None else (*DECODER_INPUTS, *HARMONIC_INPUTS)


def decoder_outputs(config: CodecConfig) -> tuple[Any, ...]:
    """What the decoder's graph gives."""
    return DECODER_OUTPUTS if config.harmonics is None else (*DECODER_OUTPUTS, *HARMONIC_OUTPUTS)


def check_target(folder: str | os.PathLike[str]) -> Path:
    """The real path of a folder to export into: a new one, an empty one, or an earlier export and nothing else.

    Raises ExportError for any other.
    """
    target = Path(os.path.realpath(folder))
    if not target.parent.is_dir():
        raise ExportError(f"cannot export to {os.fspath(folder)}: the folder {target.parent} does not exist")
    if not target.exists():
        return target
    if not target.is_dir():
        raise ExportError(f"cannot export to {os.fspath(folder)}: it is a file; name a folder")
    names = sorted(path.name for path in target.iterdir())
    if names:
        foreign = sorted(set(names) - _files_of_export(target))
        if foreign:
            listed = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
            raise ExportError(
                f"cannot export to {os.fspath(folder)}: it holds {listed}, which no export wrote; name a new folder, "
                f"an empty one or an earlier export"
            )
    return target


@contextlib.contextmanager
def folder_written_whole(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside `folder` to write to; it takes the place of `folder` when the block ends well.

    Raises as `check_target` does, when the block begins and again before anything is replaced.
    """
    target = check_target(folder)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    earlier = target.with_name(f".{target.name}.{os.getpid()}.earlier")
    temporary.mkdir()
    try:
        yield temporary
        check_target(folder)
        if target.exists():
            os.replace(target, earlier)
        try:
            os.replace(temporary, target)
        except OSError:
            if earlier.exists():
                os.replace(earlier, target)
            raise
    finally:
        for leftover in (temporary, earlier):
            if leftover.exists():
                shutil.rmtree(leftover)


def write_description(folder: Path, described: Mapping[str, Any]) -> None:
    """Write `codec.json` beside the graphs, with the size and SHA-256 of every other file there."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name != DESCRIPTION
    }
    text = json.dumps({**described, "files": files}, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def read_description(folder: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], CodecConfig]:
    """What a folder's `codec.json` says, and the config in it, once its files are those that were written.

    Raises ExportError where the folder is no export of that kind, of another version, or not whole.
    """
    path = Path(folder)
    described = _described(path)
    if described.get("format") != kind:
        raise ExportError(f'{path} is no export of this kind: {DESCRIPTION} with "format": "{kind}" is not there')
    if described.get("format_version") != FORMAT_VERSION:
        version = described.get("format_version")
        raise ExportError(f"{path} has format version {version!r}; this release reads version {FORMAT_VERSION}")
    try:
        config = CodecConfig.from_dict(described["codec"])
        files = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in described["files"].items()}
        needed = {described[part]["file"] for part in ("encoder", "decoder")}
        if not needed <= set(files) or not isinstance(described["codec_hash"], str):
            raise KeyError("files")
    except (AttributeError, ConfigError, KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{path / DESCRIPTION} does not describe an export: {error}; export again") from error
    for name, (size, digest) in files.items():
        file = path / name
        if not file.is_file():
            raise ExportError(f"{path} is not whole: it has no {name}; copy the whole folder, or export again")
        if file.stat().st_size != size or sha256_of(file) != digest:
            raise ExportError(f"{file} is not the file that was exported ({size} bytes); copy it, or export again")
    return described, config


def _described(folder: Path) -> dict[str, Any]:
    """What `codec.json` says; empty where there is none that can be read."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return {}
    return described if isinstance(described, dict) else {}


def _files_of_export(folder: Path) -> set[str]:
    """The names of what an earlier export wrote into a folder; none where there was no export."""
    described = _described(folder)
    files = described.get("files")
    if described.get("format") not in ENDINGS or not isinstance(files, dict):
        return set()
    return {DESCRIPTION, *files}


def _tensors(tensors: tuple[tuple[str, str, tuple[Any, ...]], ...], config: CodecConfig) -> list[dict[str, Any]]:
    numbers = {"num_quantizers": config.num_quantizers, "frames * hop_length": f"frames * {config.hop_length}"}
    return [
        {"name": name, "dtype": dtype, "shape": [numbers.get(size, size) for size in shape]}
        for name, dtype, shape in tensors
    ]
