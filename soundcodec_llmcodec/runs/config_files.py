"""Where a training config's values come from: YAML files with their bases, and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.runs.config_values import merged
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import LossSchedule

CONFIGS = Path(__file__).parents[1] / "train" / "configs"
BASE = "base"


def values_of(name_or_path: str, seen: tuple[str, ...] = (), beside: Path | None = None) -> dict[str, Any]:
    """The values of a config with those of its base below them.

    `seen` are the files that led here, `beside` the folder of the last of them. Raises TrainConfigError for a file that
    is not there, is no YAML, or is its own base.
    """
    import yaml

    path = next((p for p in _places(name_or_path, beside) if p.is_file()), None)
    if path is None:
        known = sorted(p.stem for p in CONFIGS.glob("*.yaml"))
        raise TrainConfigError(f"no training config {name_or_path!r}: give a YAML file or one of {known}")
    if str(path.resolve()) in seen:
        raise TrainConfigError(f"{path} is its own base, by way of {', '.join(seen)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise TrainConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise TrainConfigError(f"{path} should hold key: value lines, got {type(values).__name__}")
    base = values.pop(BASE, None)
    values = expanded(values)
    if base is None:
        return values
    return merged(values_of(str(base), (*seen, str(path.resolve())), path.parent), values)


def parse_override(text: str) -> dict[str, Any]:
    """'key=value' or 'section.key=value', with the value read as YAML, as a nested mapping."""
    import yaml

    path, separator, value = text.partition("=")
    if not separator or not path.strip():
        raise TrainConfigError(f"expected key=value, got {text!r}")
    try:
        found: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise TrainConfigError(f"the value in {text!r} is not YAML: {error}") from error
    for key in reversed(path.strip().split(".")):
        found = {key: found}
    return found


def expanded(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with each loss that is its weight alone as a schedule."""
    losses = values.get("losses")
    if not isinstance(losses, Mapping):
        return dict(values)
    schedules = {
        name: loss if isinstance(loss, (Mapping, LossSchedule)) else {"weight": loss} for name, loss in losses.items()
    }
    return {**values, "losses": schedules}


def _places(name_or_path: str, beside: Path | None) -> list[Path]:
    near = [] if beside is None else [beside / name_or_path, beside / f"{name_or_path}.yaml"]
    return [*near, Path(name_or_path), CONFIGS / f"{name_or_path}.yaml"]
