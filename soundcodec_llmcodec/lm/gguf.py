"""GGUF files as ordinary model folders, converted once and kept in the user's cache.

Transformers takes half a minute to read even a small GGUF file; the converted copy opens in a fraction of a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from soundcodec_llmcodec.files import sha256_of
from soundcodec_llmcodec.lm.packages import lm_package, no_bars
from soundcodec_llmcodec.lm.pretrained import read_model

_FORMAT = 1
_SOURCE_FILE = "source.json"


def cache_folder() -> Path:
    """Where converted models are kept: $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "soundcodec_llmcodec" / "gguf"


@contextlib.contextmanager
def as_folder(file: Path) -> Iterator[Path]:
    """A folder with the model (float32 safetensors) and the tokenizer of a GGUF file, good until the block ends.

    It is the cached one of the file's hash, made where there is none; where nothing can be kept, it is a temporary one.
    """
    with contextlib.ExitStack() as stack:
        cached = cache_folder() / f"{sha256_of(file)[:32]}-{_FORMAT}"
        if not _is_whole(cached):
            converted, keeps = _work_folder(stack, cached.parent)
            _convert(file, converted)
            cached = _moved(converted, cached, file.name) if keeps else converted
        yield cached


def _work_folder(stack: contextlib.ExitStack, cache: Path) -> tuple[Path, bool]:
    """An empty folder that is removed in the end, and whether it lies in the cache, so that it can be moved there."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        partial, keeps = tempfile.TemporaryDirectory(dir=cache, prefix=".partial-"), True
    except OSError as error:
        warnings.warn(f"the converted model cannot be kept for the next time in {cache}: {error}", stacklevel=4)
        partial, keeps = tempfile.TemporaryDirectory(ignore_cleanup_errors=True), False
    target = Path(stack.enter_context(partial)) / "model"
    target.mkdir()
    return target, keeps


def _moved(converted: Path, folder: Path, source: str) -> Path:
    """Put a whole folder into its place, in one step."""
    sizes = {path.name: path.stat().st_size for path in sorted(converted.iterdir())}
    (converted / _SOURCE_FILE).write_text(json.dumps({"source": source, "sizes": sizes}, indent=1), encoding="utf-8")
    if folder.exists() and not _is_whole(folder):
        shutil.rmtree(folder)
    try:
        os.rename(converted, folder)
    except OSError:
        # Another process was first; what it made is the same.
        if not _is_whole(folder):
            raise
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether every file that was written is still there at its size."""
    try:
        sizes = json.loads((folder / _SOURCE_FILE).read_text(encoding="utf-8"))["sizes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def _convert(file: Path, folder: Path) -> None:
    """Write the file's model and tokenizer as an ordinary folder."""
    transformers = lm_package("transformers", "reading a language model")
    lm_package("gguf", "reading a GGUF file")
    lm_package("accelerate", "reading a GGUF file")
    place: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    with no_bars():
        read = read_model(file.parent, torch.float32, **place)
    # What was read counts as quantized and refuses to be saved, though its tensors are plain float32.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False, dtype=torch.float32)
    plain.load_state_dict(read.state_dict(), assign=True)
    plain.tie_weights()
    with no_bars():
        plain.save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, trust_remote_code=False, **place)
    tokenizer.save_pretrained(folder)
