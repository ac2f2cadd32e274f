"""What a run begins with where its config names a checkpoint or a bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import PRESETS, CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.runs.errors import TrainConfigError


def model_of(init: str, codec: CodecConfig, expected: str) -> CodecModel:
    """The codec that a checkpoint holds; a harmonic source that it does not have begins silent.

    Raises checkpoints.CheckpointError, and TrainConfigError for another codec than is `expected`.
    """
    loaded = checkpoints.load(init)
    checkpoints.check_teacher_is_there(loaded.model)
    if loaded.config == codec:
        return loaded.model
    if loaded.config == dataclasses.replace(codec, harmonics=None):
        model = CodecModel(codec)
        model.load_state_dict(model.state_dict() | loaded.model.state_dict())
        return model
    same = [name for name in PRESETS if CodecConfig.preset(name) == loaded.config]
    hint = f": it is {same[0]!r}, so set codec={same[0]}" if same else ""
    raise TrainConfigError(f"{init} is another codec than {expected}{hint}")


def bundled_parts(init: str | None) -> Mapping[str, Any] | None:
    """The parts' state dicts of a fine-tuning bundle; None where `init` is no bundle."""
    if init is None or not (Path(init) / "bundle.json").is_file():
        return None
    from soundcodec_llmcodec.train.codec_export import load_bundle

    return load_bundle(Path(init)).parts


def take_over(module: nn.Module, saved: Mapping[str, Tensor], what: str) -> None:
    """Load a bundle's part. Raises TrainConfigError where the config describes another."""
    try:
        module.load_state_dict(dict(saved))
    except RuntimeError as error:
        why = " ".join(str(error).split())[:300]
        raise TrainConfigError(
            f"the {what} is built otherwise than this config says (rows, sizes, heads): {why}. Set the same keys, or "
            "take the bundle's codec alone as init"
        ) from error
