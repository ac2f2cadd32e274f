"""What a run gives away: a codec, the published `.pt`, a language model that knows its tokens, a fine-tuning bundle.

A folder is complete when it has its name. An earlier export of its kind is replaced; anything else is not touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.runs.flattening import flatten, unflatten

if TYPE_CHECKING:
    from soundcodec_llmcodec.lm.extend import ExtendedLM

CARD = "README.md"
BUNDLE_FILE, BUNDLE_WEIGHTS, BUNDLE_FORMAT = "bundle.json", "bundle.safetensors", "llmcodec-bundle"
FORMAT_VERSION = 1
_MODE = 0o644
# transformers puts a tokenizer's further chat templates there.
_SUBFOLDERS = ("additional_chat_templates",)
# What an export writes, and transformers for a language model with its tokenizer.
_FILES = re.compile(
    r"README\.md|(config|generation_config|bundle|codec_tokens|token_lm|tokenizer|tokenizer_config|vocab|added_tokens"
    r"|special_tokens_map)\.json|merges\.txt|tokenizer\.model|chat_template\.(jinja|json)|bundle\.safetensors"
    r"|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json"
)


class RunExportError(ValueError):
    """An export that cannot be written or read, with what was found and what to do."""


@dataclass(frozen=True)
class Bundle:
    """A fine-tuning bundle: facts as they were given, and the state dict of each part."""

    facts: Mapping[str, Any]
    parts: Mapping[str, Any]

    def restore(self, parts: Mapping[str, nn.Module | torch.optim.Optimizer]) -> None:
        """Load modules and optimizers of these names from it, strictly. Raises ExportError for a missing one."""
        missing = sorted(set(parts) - set(self.parts))
        if missing:
            raise RunExportError(f"the bundle has no {', '.join(missing)}; it has {', '.join(sorted(self.parts))}")
        for name, part in parts.items():
            part.load_state_dict(self.parts[name])


def export_codec(
    folder: Path,
    config: CodecConfig,
    model: CodecModel,
    info: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
    card: str | None = None,
) -> Path:
    """Write an inference checkpoint (`config.json`, `model.safetensors`, and `README.md` for a card).

    `LLMCodec.from_pretrained(folder)` reads it. float16 halves its size; the weights are rounded then, so a few tokens
    may differ from the unrounded model's, but what is read back is the same everywhere.
    """
    with _whole_folder(folder, lambda path: _has_format(path / checkpoints.CONFIG_FILE, checkpoints.FORMAT)) as scratch:
        checkpoints.save(scratch, config, model, info, dtype)
        _write_card(scratch, card)
    return folder


def export_published(path: Path, model: CodecModel, dtype: torch.dtype = torch.float32) -> Path:
    """Write `llm-codec.pt` as published: a plain state dict, keys `tokenizer.*` and `token2wav.*`.

    Such a file does not say what codec it is: readers take it for the published one. For another, `config.json` is
    written beside it, which our loader reads. Raises ExportError where another `config.json` is there already.
    """
    config, beside = model.config, path.parent / checkpoints.CONFIG_FILE
    described: dict[str, Any] | None = None
    if config != CodecConfig.preset("published"):
        described = {"format": checkpoints.FORMAT, "format_version": checkpoints.FORMAT_VERSION}
        described |= {"codec": config.to_dict(), "info": {}}
    held = _read_json(beside) if beside.is_file() else None
    if held is not None:
        same = held.get("format") == checkpoints.FORMAT and held.get("codec") == config.to_dict()
        if not same:
            raise RunExportError(
                f"{beside} describes something else, and would be read with {path.name}: choose a folder"
            )
    tensors = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous().clone()
        for name, tensor in model.state_dict().items()
    }
    if described is not None and held is None:
        with written_whole(beside) as partial:
            partial.write_text(_json(described), encoding="utf-8")
    with written_whole(path) as partial:
        torch.save(tensors, partial)
    return path


def export_lm(
    folder: Path,
    extended: ExtendedLM,
    embeddings: Tensor | None = None,
    head: Tensor | None = None,
    card: str | None = None,
) -> Path:
    """Write a language model and its tokenizer with a token for each code, as transformers does.

    `embeddings` and `head` (V, E) are the codes' trained rows at the input and the output; None leaves what `extended`
    has. A model with tied embeddings takes no `head`. `ExtendedLM.load(folder)`, or transformers, reads it.
    `extended` is not changed. Raises ValueError for rows that do not fit.
    """
    from soundcodec_llmcodec.lm.extend import SPEC_FILE, with_audio_embeddings

    if embeddings is None and head is not None:
        raise RunExportError("head rows without embeddings: give both, or the embeddings alone")
    if embeddings is not None:
        extended = with_audio_embeddings(extended, embeddings, head)
    with _whole_folder(folder, lambda path: (path / SPEC_FILE).is_file()) as scratch:
        extended.save(scratch)
        _write_card(scratch, card)
    return folder


def export_bundle(
    folder: Path,
    state_parts: Mapping[str, nn.Module | torch.optim.Optimizer],
    facts: Mapping[str, Any],
    card: str | None = None,
) -> Path:
    """Write everything that training goes on from: parts by name ("model", "discriminators", "optimizer", ...).

    `facts` is JSON-ready. `load_bundle` reads it. Raises ExportError for names that could be mixed up.
    """
    dotted = [name for name in state_parts if "." in name]
    if dotted:
        raise RunExportError(f"a part's name cannot have a dot, got {', '.join(dotted)}")
    with _whole_folder(folder, lambda path: _has_format(path / BUNDLE_FILE, BUNDLE_FORMAT)) as scratch:
        tensors: dict[str, Tensor] = {}
        parts = {name: flatten(part.state_dict(), name, tensors) for name, part in state_parts.items()}
        save_file(tensors, scratch / BUNDLE_WEIGHTS, metadata={"format": "pt"})
        described = {"format": BUNDLE_FORMAT, "format_version": FORMAT_VERSION, "facts": dict(facts), "parts": parts}
        (scratch / BUNDLE_FILE).write_text(_json(described, indent=None), encoding="utf-8")
        _write_card(scratch, card)
    return folder


def load_bundle(folder: Path) -> Bundle:
    """Read a fine-tuning bundle. Raises ExportError for a folder that holds none, or one of another version."""
    path = folder / BUNDLE_FILE
    if not path.is_file():
        raise RunExportError(f"{folder} is no fine-tuning bundle: it has no {BUNDLE_FILE}")
    described = _read_json(path)
    if described.get("format") != BUNDLE_FORMAT or described.get("format_version") != FORMAT_VERSION:
        actual = f"{described.get('format')!r} version {described.get('format_version')!r}"
        raise RunExportError(f"{path} is {actual}, expected {BUNDLE_FORMAT!r} version {FORMAT_VERSION}")
    try:
        tensors = load_file(folder / BUNDLE_WEIGHTS)
        parts = {name: unflatten(part, tensors) for name, part in described["parts"].items()}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunExportError(f"{folder} is damaged: {error!r}") from error
    return Bundle(described["facts"], parts)


def _write_card(folder: Path, card: str | None) -> None:
    if card is not None:
        (folder / CARD).write_text(card, encoding="utf-8")


@contextlib.contextmanager
def _whole_folder(folder: Path, is_earlier: Callable[[Path], bool]) -> Iterator[Path]:
    """A folder beside `folder` to write to, which takes its name when the block ends without an error.

    Raises ExportError where `folder` is there, and is neither empty nor by `is_earlier` an export of the same kind.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and not _replaceable(folder, is_earlier):
        raise RunExportError(
            f"{folder} is there already and is no earlier export of this kind, or holds more than that: name a new one"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    before = folder.with_name(f".{folder.name}.{os.getpid()}.before")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
        for file in scratch.rglob("*"):
            if file.is_file():
                # safetensors makes files that only their owner can read; an export is for everyone who has the folder.
                file.chmod(_MODE)
        if folder.exists():
            os.replace(folder, before)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if before.exists() and not folder.exists():
            os.replace(before, folder)
        shutil.rmtree(before, ignore_errors=True)


def _replaceable(folder: Path, is_earlier: Callable[[Path], bool]) -> bool:
    """Whether a folder is empty, or an earlier export and holds nothing that no export writes."""
    if not folder.is_dir():
        return False
    inside = list(folder.iterdir())
    if not inside:
        return True
    ours = (path.name in _SUBFOLDERS if path.is_dir() else _FILES.fullmatch(path.name) for path in inside)
    return is_earlier(folder) and all(ours)


def _has_format(path: Path, name: str) -> bool:
    """Whether a JSON file with this "format" is there."""
    if not path.is_file():
        return False
    try:
        return bool(_read_json(path).get("format") == name)
    except RunExportError:
        return False


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunExportError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise RunExportError(f"{path} should hold a JSON object, got {type(value).__name__}")
    return value


def _json(value: Any, indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
