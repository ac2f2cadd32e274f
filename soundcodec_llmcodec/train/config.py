"""One frozen description of a training run, from YAML and the command line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.config import CodecConfig

# The widest analysis window is 2048 samples, and half of it is reflected at each end.
SHORTEST_SEGMENT_S = 0.1
# What decides the batches and the network: a resumed run must have the same.
FIXED = ("codec", "data", "seed", "batch_size", "segment_s", "speeds", "gain_db")
CONFIGS = Path(__file__).parent / "configs"


class TrainConfigError(ValueError):
    """A training configuration that cannot be run, with what was found and what was expected."""


@dataclass(frozen=True)
class TrainConfig:
    """A run: the codec, its data, the schedule and the weight of each loss.

    `data` and `validation` are sources: "FOLDER", "FOLDER:SPLIT" or "HUB_ID:SPLIT". Lengths are in seconds, rates per
    step. `adversarial_start` is the step at which discriminators join (None: never). `compile` fuses the conformers
    (torch.compile: a minute more at the start, faster steps). `speeds` are the factors by which a batch is resampled
    (pitch and tempo together), `gain_db` the range of random gains. `validation_clips` of 0 means all.
    """

    codec: str | Mapping[str, Any] = "compact"
    data: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    init: str | None = None
    seed: int = 0
    steps: int = 20_000
    batch_size: int = 16
    segment_s: float = 2.0
    speeds: tuple[float, ...] = (1.0,)
    gain_db: tuple[float, float] = (-6.0, 3.0)
    learning_rate: float = 6e-4
    final_learning_rate: float = 3e-5
    warmup_steps: int = 500
    betas: tuple[float, float] = (0.8, 0.99)
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    precision: str = "float32"
    compile: bool = False
    mel_weight: float = 1.0
    loudness_weight: float = 0.0
    stft_weight: float = 0.25
    phase_weight: float = 0.1
    commitment_weight: float = 0.25
    codebook_weight: float = 1.0
    adversarial_start: int | None = None
    adversarial_ramp: int = 1_000
    adversarial_weight: float = 0.1
    feature_matching_weight: float = 0.2
    adversarial_segment_s: float = 1.0
    discriminator_learning_rate: float = 2e-4
    discriminator_channels: int = 32
    validation_clips: int = 48
    log_every: int = 50
    validate_every: int = 1_000
    checkpoint_every: int = 1_000
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _as_declared(field.name, str(field.type), getattr(self, field.name)))
        _check(self)

    @property
    def codec_config(self) -> CodecConfig:
        """The codec's own config, from a preset's name or from its fields."""
        return CodecConfig.preset(self.codec) if isinstance(self.codec, str) else CodecConfig.from_dict(self.codec)

    def to_dict(self) -> dict[str, Any]:
        """A JSON- and YAML-ready dict."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}


def load_config(name_or_path: str, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """A bundled config by name or a YAML file, with `overrides` (the command line) on top. Unknown keys are errors."""
    import yaml

    path = Path(name_or_path)
    if not path.is_file():
        path = CONFIGS / f"{name_or_path}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in CONFIGS.glob("*.yaml"))
        raise TrainConfigError(f"no training config {name_or_path!r}: give a YAML file or one of {known}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise TrainConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise TrainConfigError(f"{path} should hold key: value lines, got {type(values).__name__}")
    return make_config({**values, **(overrides or {})})


def make_config(values: Mapping[str, Any]) -> TrainConfig:
    """A config from plain values; unknown keys are errors that list the known ones."""
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise TrainConfigError(f"unknown training keys {unknown}; known keys are {sorted(known)}")
    return TrainConfig(**values)


def parse_override(text: str) -> tuple[str, Any]:
    """'key=value' with the value read as YAML."""
    import yaml

    key, separator, value = text.partition("=")
    if not separator:
        raise TrainConfigError(f"expected key=value, got {text!r}")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise TrainConfigError(f"the value in {text!r} is not YAML: {error}") from error


def _as_declared(name: str, declared: str, value: Any) -> Any:
    """A value as its field's type wants it: numbers that YAML read as text ("1e-3"), and tuples of the right length."""
    if value is None and "None" in declared:
        return None
    if declared.startswith("float"):
        return _number(name, value)
    if declared.startswith("tuple[str"):
        return (value,) if isinstance(value, str) else tuple(str(item) for item in value)
    if declared.startswith("tuple[float"):
        items = tuple(_number(name, item) for item in (value if isinstance(value, (list, tuple)) else (value,)))
        if "..." not in declared and len(items) != 2:
            raise TrainConfigError(f"{name} takes two numbers, got {value!r}")
        return items
    if declared == "bool" and not isinstance(value, bool):
        raise TrainConfigError(f"{name} must be true or false, got {value!r}")
    return value


def _number(name: str, value: Any) -> float:
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise TrainConfigError(f"{name} must be a number, got {value!r}")
    return number


def _check(config: TrainConfig) -> None:
    for name in ("steps", "batch_size", "log_every", "validate_every", "checkpoint_every", "keep_checkpoints"):
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise TrainConfigError(f"{name} must be a positive whole number, got {value!r}")
    for name in ("segment_s", "learning_rate", "adversarial_segment_s", "gradient_clip"):
        if not getattr(config, name) > 0:
            raise TrainConfigError(f"{name} must be above zero, got {getattr(config, name)!r}")
    for name in ("segment_s", "adversarial_segment_s"):
        if getattr(config, name) < SHORTEST_SEGMENT_S:
            raise TrainConfigError(f"{name} must be at least {SHORTEST_SEGMENT_S} s, got {getattr(config, name)!r}")
    if config.precision not in ("float32", "bfloat16"):
        raise TrainConfigError(f"precision must be float32 or bfloat16, got {config.precision!r}")
    if not config.speeds or not all(0.5 <= speed <= 2.0 for speed in config.speeds):
        raise TrainConfigError(f"speeds must be factors from 0.5 to 2, got {config.speeds}")
    if not 0 <= config.ema_decay < 1:
        raise TrainConfigError(f"ema_decay must lie in [0, 1), got {config.ema_decay}")
