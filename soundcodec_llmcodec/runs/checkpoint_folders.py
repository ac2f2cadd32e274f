"""A run's checkpoints, a folder a step: what lies in one, which there are, and which of them are kept."""

from __future__ import annotations

from pathlib import Path

from soundcodec_llmcodec.files import remove_own

TENSORS, FACTS = "state.safetensors", "state.json"


def checkpoints_in(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / FACTS).is_file())


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what an interrupted save left; only files that a save wrote."""
    for path in (*checkpoints_in(folder)[:-keep], *folder.glob(".saving-*")):
        remove_own(path, (FACTS, TENSORS))
