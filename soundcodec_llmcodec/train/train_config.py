"""One frozen description of a codec's training run, from YAML and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.runs.config_files import BundledConfigs
from soundcodec_llmcodec.runs.config_values import build, plain
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.runs.schedules import LossSchedule, check_steps, in_steps
from soundcodec_llmcodec.setting import setting
from soundcodec_llmcodec.train.adversary_config import SHORTEST_SEGMENT_S, AdversaryConfig
from soundcodec_llmcodec.train.balance import BalanceConfig
from soundcodec_llmcodec.train.loss_names import ABOUT_LOSSES, ADVERSARIAL, LANGUAGE, LOSSES
from soundcodec_llmcodec.train.noise import NoiseConfig
from soundcodec_llmcodec.train.objectives.language_config import LanguageConfig
from soundcodec_llmcodec.train.objectives.prior import PriorConfig
from soundcodec_llmcodec.train.objectives.semantic_decoder import SemanticDecoderConfig
from soundcodec_llmcodec.train.revival import RevivalConfig


@dataclass(frozen=True)
class TrainConfig:
    """A run: the codec, its data, the schedule of each loss, and the parts that the losses need."""

    codec: str | Mapping[str, Any] = setting(
        "compact", "what trains: a preset's name, or the codec's own keys, with `preset` as a difference to one"
    )
    data: tuple[str, ...] = setting((), 'training data, "FOLDER", "FOLDER:SPLIT" or "HUB_ID:SPLIT"')
    validation: tuple[str, ...] = setting((), "held-out data, written as `data`")
    init: str | None = setting(
        None, "the codec or fine-tuning bundle to begin with: a name, folder, file or hub id (null: random weights)"
    )
    seed: int = setting(0, "seed of weights, batches and noise")
    steps: int = setting(20_000, "steps of the whole run")
    batch_size: int = setting(16, "clips of a step, over all processes")
    accumulation: int = setting(1, "pieces that each process takes its part of a batch in")
    segment_s: float = setting(2.0, "seconds of a crop")
    speeds: tuple[float, ...] = setting((1.0,), "factors by which a batch is resampled, pitch and tempo together")
    gain_db: tuple[float, float] = setting((-6.0, 3.0), "range of random gains, dB")
    phase_jitter: int = setting(0, "largest random shift of what the encoder sees, samples")
    draw: Literal["length", "clip"] = setting(
        "length", "clips are drawn in proportion to their lengths, or evenly: each once before any a second time"
    )
    padding: Literal["silence", "reflection"] = setting(
        "silence", "what fills clips shorter than a crop: silence behind them, or reflections at both sides"
    )
    random_polarity: bool = setting(True, "whether half of the clips are turned upside down")
    codec_start: float = setting(
        0, "step before which only what trains beside the codec learns (below 1: a share of the run's steps)"
    )
    clip_apart: bool = setting(False, "whether gradients of encoder and decoder are clipped each by itself")
    batch_norm: Literal["train", "frozen"] = setting("train", "frozen leaves running statistics as they are")
    trains: Literal["all", "decoder"] = setting(
        "all", "decoder leaves encoder and codebook, and with them every token, as they are"
    )
    precision: Literal["float32", "bfloat16"] = setting("float32", "precision of the codec's matrix products")
    compile: bool = setting(False, "whether the conformers are fused by torch.compile")
    ema_decay: float = setting(0.999, "decay of the averaged weights, which are validated and exported")
    losses: Mapping[str, LossSchedule] = setting(
        dict, "what counts, and when; each loss is its weight alone, or its schedule", ABOUT_LOSSES
    )
    scales_share: float = setting(
        1.0,
        "share of each reconstruction loss's windows that count in a step, drawn anew each step: the same on average, "
        "and cheaper",
    )
    balance: BalanceConfig = setting(BalanceConfig, "gradients at the decoded wave in given shares (EnCodec)")
    optimizer: OptimizerConfig = setting(OptimizerConfig, "the codec's optimizer")
    adversary: AdversaryConfig = setting(AdversaryConfig, "the discriminators")
    language: LanguageConfig = setting(LanguageConfig, "the frozen LLM and what trains beside it")
    teacher: SemanticConfig = setting(
        lambda: SemanticConfig(layers=(1, 2, 3, 4)), "the frozen speech encoder of the losses teacher and semantic"
    )
    semantic_decoder: SemanticDecoderConfig = setting(
        SemanticDecoderConfig, "what the loss semantic rebuilds features with"
    )
    prior: PriorConfig = setting(PriorConfig, "the causal prior over codes, which trains with the codec")
    prior_optimizer: OptimizerConfig = setting(OptimizerConfig, "the prior's optimizer")
    noise: NoiseConfig = setting(NoiseConfig, "masked noise on the encoder's input, while the target stays clean")
    revival: RevivalConfig = setting(RevivalConfig, "hardly used codes put where latents are")
    tensorboard: bool = setting(False, "whether TensorBoard files are written, too")
    validation_clips: int = setting(48, "held-out clips that are validated on, evenly spread (0: all)")
    log_every: int = setting(50, "steps from one row of the log to the next")
    validate_every: int = setting(1_000, "steps from one validation to the next")
    checkpoint_every: int = setting(1_000, "steps from one checkpoint to the next")
    keep_checkpoints: int = setting(2, "checkpoints that are kept, the newest")

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
    """A bundled config by name or a YAML file, with `overrides` (the command line) on top. Unknown keys are errors."""
    return make_config(BUNDLED.values(name_or_path, overrides))


def make_config(values: Mapping[str, Any]) -> TrainConfig:
    """A config from plain values; unknown keys are errors that suggest the nearest. A loss may be its weight alone."""
    return build(TrainConfig, with_schedules(values))


def with_schedules(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with each loss that is its weight alone as a schedule."""
    losses = values.get("losses")
    if not isinstance(losses, Mapping):
        return dict(values)
    schedules = {
        name: loss if isinstance(loss, (Mapping, LossSchedule)) else {"weight": loss} for name, loss in losses.items()
    }
    return {**values, "losses": schedules}


BUNDLED = BundledConfigs(Path(__file__).parent / "configs", "training config", with_schedules)


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
    if config.trains == "decoder" and config.uses("semantic"):
        raise TrainConfigError("with trains: decoder tokens stay as they are: the loss semantic has nothing to change")
    if unknown:
        raise TrainConfigError(f"unknown losses {unknown}; the losses are {', '.join(LOSSES)}")
    if config.uses("pitch") and config.codec_config.harmonics is None:
        raise TrainConfigError('the loss "pitch" is the harmonic source\'s: give codec.harmonics, or losses.pitch=0')
    config.balance.check(config.losses)
    if not any(config.uses(name) for name in config.losses):
        raise TrainConfigError(f"no loss counts: give losses, such as losses.mel=15; there are {', '.join(LOSSES)}")
