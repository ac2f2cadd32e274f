"""A step whose values are not finite: which they are, and the batch that made them, kept to be looked at."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from soundcodec_llmcodec.train.audio_batch import AudioBatch


def nonfinite(values: Mapping[str, Tensor]) -> list[str]:
    """The names of a step's values that are NaN or infinite."""
    return [name for name, value in values.items() if not math.isfinite(float(value))]


def keep_batch(folder: Path, step: int, batch: AudioBatch, values: Mapping[str, Tensor]) -> None:
    """Write `step-N.safetensors` (padded, target) and `step-N.json` (clips, values, and which are not finite)."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"padded": batch.padded.cpu().contiguous(), "target": batch.target.cpu().contiguous()}
    partial = folder / f".step-{step:08d}.{os.getpid()}.safetensors"
    save_file(tensors, partial)
    os.replace(partial, folder / f"step-{step:08d}.safetensors")
    as_text = {name: str(float(value)) for name, value in values.items()}
    facts = {"step": step, "broken": nonfinite(values), "clips": list(batch.ids), "values": as_text}
    (folder / f"step-{step:08d}.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
