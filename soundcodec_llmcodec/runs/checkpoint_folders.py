"""A run's checkpoints, a folder a step: what lies in one, how it is written and read, and which are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from soundcodec_llmcodec.files import put_folder, remove_own
from soundcodec_llmcodec.runs.errors import TrainConfigError

CHECKPOINTS = "checkpoints"  # in a run's folder
TENSORS, FACTS = "state.safetensors", "state.json"


def checkpoints_in(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / FACTS).is_file())


def step_name(step: int) -> str:
    """The name of a step's checkpoint."""
    return f"step-{step:08d}"


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what an interrupted save left; only files that a save wrote."""
    for path in (*checkpoints_in(folder)[:-keep], *folder.glob(".saving-*")):
        remove_own(path, (FACTS, TENSORS))


def write_checkpoint(
    target: Path,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    names: tuple[str, str] = (TENSORS, FACTS),
) -> Path:
    """Write a folder of tensors and JSON-ready facts, in files of these names; it is whole when it has its name."""
    scratch = target.parent / f".saving-{target.name}-{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), scratch / names[0])
    (scratch / names[1]).write_text(json.dumps(facts), encoding="utf-8")
    put_folder(scratch, target, names)
    return target


def read_facts(folder: Path, version: int | None = None) -> dict[str, Any]:
    """A checkpoint's facts. Raises TrainConfigError for another state version than `version`."""
    facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if version is not None and facts.get("version") != version:
        raise TrainConfigError(f"{folder} has state version {facts.get('version')!r}, expected {version}")
    return facts


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors, on the CPU."""
    return load_file(folder / TENSORS)
