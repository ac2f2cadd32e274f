"""One frozen description of a training run, from YAML and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.train.alignment import AlignmentConfig
from soundcodec_llmcodec.train.balance import BalanceConfig
from soundcodec_llmcodec.train.bridge import BridgeConfig
from soundcodec_llmcodec.train.discriminators import DiscriminatorConfig
from soundcodec_llmcodec.train.errors import TrainConfigError
from soundcodec_llmcodec.train.loss_names import ADVERSARIAL, LANGUAGE, LOSSES
from soundcodec_llmcodec.train.noise import NoiseConfig
from soundcodec_llmcodec.train.parsing import build, merged, plain
from soundcodec_llmcodec.train.prior import PriorConfig
from soundcodec_llmcodec.train.revival import RevivalConfig
from soundcodec_llmcodec.train.schedules import LossSchedule, in_steps
from soundcodec_llmcodec.train.soft_targets import TEMPERATURE

__all__ = ["LOSSES", "TrainConfig", "TrainConfigError", "load_config", "make_config", "parse_override"]

# The widest analysis window is 2048 samples, and half of it is reflected at each end.
SHORTEST_SEGMENT_S = 0.1
CONFIGS = Path(__file__).parent / "configs"
BASE = "base"


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer and its learning rates: a linear warm-up, then a cosine down to the final rate."""

    kind: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 6e-4
    final_learning_rate: float = 3e-5
    warmup: float = 0
    betas: tuple[float, float] = (0.8, 0.99)
    momentum: float = 0.9
    weight_decay: float = 0.01
    gradient_clip: float = 1.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "gradient_clip"):
            if getattr(self, name) <= 0:
                raise TrainConfigError(f"{name} must be above zero, got {getattr(self, name)!r}")
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise TrainConfigError(
                f"final_learning_rate lies in [0, {self.learning_rate}], got {self.final_learning_rate!r}"
            )


@dataclass(frozen=True)
class AdversaryConfig:
    """Discriminators: what they are, how they learn, and R1 (gamma / 2 * |gradient|^2) every `r1_every` steps (0:
    never).

    They train `lead` steps before the codec's adversarial losses begin. They see crops of `segment_s` seconds. The
    optimizer's warm-up and cosine count from their first step, over the rest of the run.
    """

    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: Literal["hinge", "least_squares"] = "hinge"
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(learning_rate=2e-4, final_learning_rate=1e-5)
    )
    segment_s: float = 1.0
    lead: float = 0
    r1_gamma: float = 2.0
    r1_every: int = 0

    def __post_init__(self) -> None:
        if self.segment_s < SHORTEST_SEGMENT_S:
            raise TrainConfigError(f"segment_s must be at least {SHORTEST_SEGMENT_S} s, got {self.segment_s!r}")
        if self.r1_every < 0 or self.r1_gamma < 0:
            raise TrainConfigError("r1_gamma and r1_every cannot be negative")


@dataclass(frozen=True)
class LanguageConfig:
    """The frozen LLM and what trains beside it: audio embeddings, bridge, heads.

    `model` is "smollm2", a folder, a GGUF file or a hub id. A crop's text takes part in alignment where the crop holds
    at least `text_coverage` of its clip. With alignment, `text_share` of the clips are
    drawn among those that fit. `head_spread` of 1 lets the heads' rows differ as much as the LLM's words do
    at the start, 0 makes them equal. `rows` says what the codes' rows at the LLM's input and at the heads are: "free"
    rows, each learnt by itself, or "codebook", a network of the code vectors with `row_hidden` units, which says
    something of every code after few steps. Of a piece's clips (a step's, over processes and
    accumulation) the LLM reads the share `share`, at least one. `targets` of future-token prediction are "codes", as
    published: the encoder learns only to be a good past; or "encoder", its softmax over codes at `target_temperature`,
    so that it also learns to choose what is foretold.
    """

    model: str = "smollm2"
    precision: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(learning_rate=1e-4, final_learning_rate=1e-4, betas=(0.9, 0.99))
    )
    bridge: BridgeConfig = field(default_factory=BridgeConfig)
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    future_heads: int = 5
    head_spread: float = 0.1
    rows: Literal["free", "codebook"] = "free"
    row_hidden: int = 256
    share: float = 1.0
    targets: Literal["codes", "encoder"] = "codes"
    target_temperature: float = TEMPERATURE
    text_coverage: float = 0.9
    text_share: float = 0.5
    longest_text: int = 64

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise TrainConfigError(f"language.share lies above 0 and up to 1, got {self.share!r}")
        if not self.target_temperature > 0:
            raise TrainConfigError(f"language.target_temperature must be above zero, got {self.target_temperature!r}")
        if self.row_hidden < 1:
            raise TrainConfigError(f"language.row_hidden must be at least 1, got {self.row_hidden!r}")

    def heard(self, clips: int) -> int:
        """How many of a piece's clips the LLM reads."""
        return max(1, round(self.share * clips))


@dataclass(frozen=True)
class TrainConfig:
    """A run: the codec, its data, the schedule of each loss, and the parts that the losses need.

    `data` and `validation` are sources: "FOLDER", "FOLDER:SPLIT" or "HUB_ID:SPLIT". Lengths are in seconds.
    `batch_size` is the number of clips of a step, over all devices; `accumulation` is the number of pieces that each
    device takes its part in. `speeds` are the factors by which a batch is resampled (pitch and tempo together),
    `gain_db` the range of random gains, `phase_jitter` the largest random shift of what the encoder sees, in samples.
    `batch_norm` is "train", or "frozen" (running statistics as they are). `losses` is what counts, and when (LOSSES
    names them). `scales_share` is the share of each reconstruction loss's windows that count in a step, drawn anew each
    step: each counts as much as before on average, and steps are cheaper. `trains` is "all", or "decoder": the encoder
    and the codebook, and with them every token, stay as they are. `compile` fuses the conformers. `validation_clips` of
    0 means all.
    """

    codec: str | Mapping[str, Any] = "compact"
    data: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    init: str | None = None
    seed: int = 0
    steps: int = 20_000
    batch_size: int = 16
    accumulation: int = 1
    segment_s: float = 2.0
    speeds: tuple[float, ...] = (1.0,)
    gain_db: tuple[float, float] = (-6.0, 3.0)
    phase_jitter: int = 0
    batch_norm: Literal["train", "frozen"] = "train"
    trains: Literal["all", "decoder"] = "all"
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    ema_decay: float = 0.999
    losses: Mapping[str, LossSchedule] = field(default_factory=dict)
    scales_share: float = 1.0
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    prior_optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    revival: RevivalConfig = field(default_factory=RevivalConfig)
    tensorboard: bool = False
    validation_clips: int = 48
    log_every: int = 50
    validate_every: int = 1_000
    checkpoint_every: int = 1_000
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        _check(self)

    @property
    def codec_config(self) -> CodecConfig:
        """The codec's own config, from a preset's name or from its fields."""
        return CodecConfig.preset(self.codec) if isinstance(self.codec, str) else CodecConfig.from_dict(self.codec)

    def weight(self, loss: str, step: int) -> float:
        """A loss's weight at a step; 0 for one that is not among `losses`."""
        schedule = self.losses.get(loss)
        return 0.0 if schedule is None else schedule.at(step, self.steps)

    def uses(self, *losses: str) -> bool:
        """Whether one of these losses ever counts."""
        return any(name in self.losses and not self.losses[name].is_off for name in losses)

    @property
    def discriminators_begin(self) -> int:
        """The step from which discriminators train: `lead` before the codec's first adversarial loss."""
        firsts = [self.losses[name].first_step(self.steps) for name in ADVERSARIAL if self.uses(name)]
        return max(0, min(firsts, default=0) - in_steps(self.adversary.lead, self.steps))

    def to_dict(self) -> dict[str, Any]:
        """A JSON- and YAML-ready dict, which `make_config` reads back."""
        return plain(self)


def load_config(name_or_path: str, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """A bundled config by name or a YAML file, with `overrides` (the command line) on top. Unknown keys are errors.

    A file's key `base` names a config (bundled, or a file beside it) that it is a difference to.
    """
    return make_config(merged(_values(name_or_path, ()), _expanded(overrides or {})))


def make_config(values: Mapping[str, Any]) -> TrainConfig:
    """A config from plain values; unknown keys are errors that suggest the nearest. A loss may be its weight alone."""
    return build(TrainConfig, _expanded(values))


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


def _expanded(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with each loss that is its weight alone as a schedule."""
    losses = values.get("losses")
    if not isinstance(losses, Mapping):
        return dict(values)
    schedules = {
        name: loss if isinstance(loss, (Mapping, LossSchedule)) else {"weight": loss} for name, loss in losses.items()
    }
    return {**values, "losses": schedules}


def _values(name_or_path: str, seen: tuple[str, ...], beside: Path | None = None) -> dict[str, Any]:
    """The values of a config with those of its base below them."""
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
    values = _expanded(values)
    if base is None:
        return values
    return merged(_values(str(base), (*seen, str(path.resolve())), path.parent), values)


def _places(name_or_path: str, beside: Path | None) -> list[Path]:
    near = [] if beside is None else [beside / name_or_path, beside / f"{name_or_path}.yaml"]
    return [*near, Path(name_or_path), CONFIGS / f"{name_or_path}.yaml"]


def _check(config: TrainConfig) -> None:
    counts = ("steps", "batch_size", "accumulation", "log_every", "validate_every", "checkpoint_every")
    for name in (*counts, "keep_checkpoints"):
        if getattr(config, name) < 1:
            raise TrainConfigError(f"{name} must be a positive whole number, got {getattr(config, name)!r}")
    if config.batch_size % config.accumulation:
        raise TrainConfigError(f"accumulation {config.accumulation} does not divide batch_size {config.batch_size}")
    if config.segment_s < SHORTEST_SEGMENT_S:
        raise TrainConfigError(f"segment_s must be at least {SHORTEST_SEGMENT_S} s, got {config.segment_s!r}")
    if not config.speeds or not all(0.5 <= speed <= 2.0 for speed in config.speeds):
        raise TrainConfigError(f"speeds must be factors from 0.5 to 2, got {config.speeds}")
    if not 0 <= config.ema_decay < 1:
        raise TrainConfigError(f"ema_decay must lie in [0, 1), got {config.ema_decay}")
    if not 0 < config.scales_share <= 1:
        raise TrainConfigError(f"scales_share lies above 0 and up to 1, got {config.scales_share!r}")
    unknown = sorted(set(config.losses) - set(LOSSES))
    if config.trains == "decoder" and config.uses(*LANGUAGE, "prior"):
        raise TrainConfigError("with trains: decoder tokens stay as they are: losses on tokens have nothing to change")
    if config.trains == "decoder" and config.revival.every:
        raise TrainConfigError("with trains: decoder tokens stay as they are: set revival.every=0, which moves codes")
    if unknown:
        raise TrainConfigError(f"unknown losses {unknown}; the losses are {', '.join(LOSSES)}")
    config.balance.check(config.losses)
    if not any(config.uses(name) for name in config.losses):
        raise TrainConfigError(f"no loss counts: give losses, such as losses.mel=15; there are {', '.join(LOSSES)}")
