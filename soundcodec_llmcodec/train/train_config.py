"""One frozen description of a training run, from YAML and the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from soundcodec_llmcodec.config import CodecConfig, SemanticConfig
from soundcodec_llmcodec.runs.config_files import CONFIGS, expanded, parse_override, values_of
from soundcodec_llmcodec.runs.config_values import build, merged, plain
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import LossSchedule, check_steps, in_steps, learning_rate_at
from soundcodec_llmcodec.train.balance import BalanceConfig
from soundcodec_llmcodec.train.discriminators import DiscriminatorConfig
from soundcodec_llmcodec.train.loss_names import ADVERSARIAL, LANGUAGE, LOSSES
from soundcodec_llmcodec.train.noise import NoiseConfig
from soundcodec_llmcodec.train.objectives.alignment import AlignmentConfig
from soundcodec_llmcodec.train.objectives.bridge import BridgeConfig
from soundcodec_llmcodec.train.objectives.prior import PriorConfig
from soundcodec_llmcodec.train.objectives.soft_targets import TEMPERATURE
from soundcodec_llmcodec.train.revival import RevivalConfig

__all__ = ["CONFIGS", "LOSSES", "TrainConfig", "TrainConfigError", "load_config", "make_config", "parse_override"]

# The widest analysis window is 2048 samples, and half of it is reflected at each end.
SHORTEST_SEGMENT_S = 0.1


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer and its learning rates: a linear warm-up, `hold` steps at the full rate, then a cosine down to the
    final rate. A run whose rate is held can be made longer; what it gives is best after the cosine.

    The cosine ends at step `horizon` (None: at the run's end), so that runs of other lengths may have the same rates.
    Gradients of a norm above `gradient_clip` (None: of any norm) are scaled down to it.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 6e-4
    final_learning_rate: float = 3e-5
    warmup: float = 0
    hold: float = 0
    betas: tuple[float, float] = (0.8, 0.99)
    momentum: float = 0.9
    horizon: float | None = None
    weight_decay: float = 0.01
    gradient_clip: float | None = 1.0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise TrainConfigError(f"learning_rate must be above zero, got {self.learning_rate!r}")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise TrainConfigError(
                f"gradient_clip must be above zero, or null for no clipping, got {self.gradient_clip!r}"
            )
        if self.horizon is not None:
            check_steps("horizon", self.horizon)
            if self.horizon == 0 or (min(self.warmup, self.horizon) >= 1 and self.warmup >= self.horizon):
                raise TrainConfigError(
                    f"horizon must lie after the {self.warmup:g} steps of warm-up, got {self.horizon!r}"
                )
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise TrainConfigError(
                f"final_learning_rate lies in [0, {self.learning_rate}], got {self.final_learning_rate!r}"
            )

    @property
    def largest_norm(self) -> float:
        """`gradient_clip`; infinity where gradients are not clipped."""
        return math.inf if self.gradient_clip is None else self.gradient_clip

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate at a step (counted from 0) of a run of `steps`; shares are shares of those."""
        total = steps if self.horizon is None else in_steps(self.horizon, steps)
        warmup, hold = in_steps(self.warmup, steps), in_steps(self.hold, steps)
        return learning_rate_at(step, total, warmup, self.learning_rate, self.final_learning_rate, hold)


@dataclass(frozen=True)
class AdversaryConfig:
    """Discriminators: what they are, how they learn, and R1 (gamma / 2 * |gradient|^2) every `r1_every` steps (0:
    never).

    They train `lead` steps before the codec's adversarial losses begin. They see crops of `segment_s` seconds, in the
    run's `precision` or in float32. `reduction`: losses are means over discriminators and layers, or sums; a sum's R1
    is of the sum of all judgements. `feature_error`: L1 of features relative to the real ones' size, or absolute. With
    `r1_lazy` R1 counts `r1_every` times where it counts (StyleGAN2), else once. The optimizer's warm-up and cosine
    count from the discriminators' first step, over the rest of the run.
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
    r1_lazy: bool = True
    reduction: Literal["mean", "sum"] = "mean"
    feature_error: Literal["relative", "absolute"] = "relative"
    precision: Literal["run", "float32"] = "run"

    def __post_init__(self) -> None:
        if self.segment_s < SHORTEST_SEGMENT_S:
            raise TrainConfigError(f"segment_s must be at least {SHORTEST_SEGMENT_S} s, got {self.segment_s!r}")
        if self.r1_every < 0 or self.r1_gamma < 0:
            raise TrainConfigError("r1_gamma and r1_every cannot be negative")


@dataclass(frozen=True)
class LanguageConfig:
    """The frozen LLM and what trains beside it: audio embeddings, bridge, heads.

    `model` is "smollm2", a folder, a GGUF file or a hub id. A crop's text takes part in alignment where the crop holds
    at least `text_coverage` of its clip (0: any crop); of a text the first `longest_text` words are read (0: all). With
    alignment, `text_share` of the clips are drawn among those that fit. `head_spread` of 1 lets the heads' rows differ
    as much as the LLM's words do at the start, 0 makes them equal. `rows` says what the codes' rows at the LLM's input
    and at the heads are: "free" rows, each learnt by itself, or "codebook", a network of the code vectors with
    `row_hidden` units, which says something of every code after few steps. Of a piece's clips (a step's, over processes
    and accumulation) the LLM reads the share `share`, at least one. `targets` of future-token prediction are "codes",
    as published: the encoder learns only to be a good past; or "encoder", its softmax over codes at
    `target_temperature`, so that it also learns to choose what is foretold.
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
        if self.longest_text < 0:
            raise TrainConfigError(f"language.longest_text cannot be negative, got {self.longest_text!r}")
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
    `draw` is how clips are drawn: "length" (in proportion to their lengths) or "clip" (evenly: all of them once before
    any a second time). `padding` fills up clips shorter than a segment: "silence" behind them, or "reflection" at both
    sides. `random_polarity` turns half of the clips upside down. The codec takes no optimizer step before `codec_start`
    (steps, or a share of them below 1): only what trains beside it learns. `clip_apart` clips the gradients of encoder
    and decoder each by itself. `batch_norm` is "train", or "frozen" (running statistics as they are). `losses` is what
    counts, and when (LOSSES names them). `scales_share` is the share of each reconstruction loss's windows that count
    in a step, drawn anew each step: each counts as much as before on average, and steps are cheaper. `teacher` is the
    frozen speech encoder that the loss "teacher" asks. `trains` is "all", or "decoder": the encoder and the codebook,
    and with them every token, stay as they are. `compile` fuses the conformers. `validation_clips` of 0 means all.
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
    draw: Literal["length", "clip"] = "length"
    padding: Literal["silence", "reflection"] = "silence"
    random_polarity: bool = True
    codec_start: float = 0
    clip_apart: bool = False
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
    teacher: SemanticConfig = field(default_factory=lambda: SemanticConfig(layers=(1, 2, 3, 4)))
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
        if isinstance(self.codec, str):
            return CodecConfig.preset(self.codec)
        fields = dict(self.codec)
        preset = fields.pop("preset", None)
        return CodecConfig.from_dict(fields if preset is None else CodecConfig.preset(preset).to_dict() | fields)

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
    return make_config(merged(values_of(name_or_path), expanded(overrides or {})))


def make_config(values: Mapping[str, Any]) -> TrainConfig:
    """A config from plain values; unknown keys are errors that suggest the nearest. A loss may be its weight alone."""
    return build(TrainConfig, expanded(values))


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
    check_steps("codec_start", config.codec_start)
    if config.codec_start and not config.uses(*ADVERSARIAL, *LANGUAGE, "prior"):
        raise TrainConfigError(
            f"nothing would learn before codec_start={config.codec_start:g}: set it to 0, or give losses that train "
            f"something beside the codec: {', '.join((*ADVERSARIAL, *LANGUAGE, 'prior'))}"
        )
    unknown = sorted(set(config.losses) - set(LOSSES))
    if config.trains == "decoder" and config.uses(*LANGUAGE, "prior"):
        raise TrainConfigError("with trains: decoder tokens stay as they are: losses on tokens have nothing to change")
    if config.trains == "decoder" and config.revival.every:
        raise TrainConfigError("with trains: decoder tokens stay as they are: set revival.every=0, which moves codes")
    if unknown:
        raise TrainConfigError(f"unknown losses {unknown}; the losses are {', '.join(LOSSES)}")
    if config.uses("pitch") and config.codec_config.harmonics is None:
        raise TrainConfigError('the loss "pitch" is the harmonic source\'s: give codec.harmonics, or losses.pitch=0')
    config.balance.check(config.losses)
    if not any(config.uses(name) for name in config.losses):
        raise TrainConfigError(f"no loss counts: give losses, such as losses.mel=15; there are {', '.join(LOSSES)}")
