"""Digests of what decides a codec's audio: weights, sources, files."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20
_UNUSED_IN_CODING = ("cli", "export", "listening", "lm", "measures", "pages", "runs", "streaming", "train")


def identity(*parts: object) -> str:
    """The parts as one string, in the order given."""
    return "; ".join(str(part) for part in parts)


def of_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def of_files(folder: Path, names: Iterable[str]) -> str:
    """SHA-256 (hex) of the names, sizes and bytes of files in a folder, in any order."""
    rows = sorted(f"{name}\t{(folder / name).stat().st_size}\t{of_file(folder / name)}" for name in names)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@functools.cache
def of_package() -> str:
    """Digest of the sources of soundcodec_llmcodec that code audio, and the versions of what computes for them."""
    import torch

    import soundcodec_llmcodec

    root = Path(soundcodec_llmcodec.__file__).parent
    names = [file.relative_to(root) for file in root.rglob("*.py")]
    sources = of_files(root, (name.as_posix() for name in names if name.parts[0] not in _UNUSED_IN_CODING))
    return f"sources {sources[:16]}; torch {torch.__version__}; soxr {importlib.metadata.version('soxr')}"


def of_sources(*files: Path) -> str:
    """SHA-256 (hex) of the bytes of files, in this order."""
    return hashlib.sha256("".join(map(of_file, files)).encode()).hexdigest()


def of_model(model: Any, config: str) -> str:
    """SHA-256 (hex) of a torch module's tensors, with their names, and of its configuration as text."""
    import torch

    digest = hashlib.sha256(config.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        # Seen as bytes, so that types which numpy lacks (bfloat16) serve too.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
