"""One frozen description of a language model's training run, from YAML and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from soundcodec_llmcodec.runs.config_values import build, merged, plain
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.train_config import OptimizerConfig

__all__ = ["LMTrainConfig", "TrainConfigError", "load_config", "make_config"]

CONFIGS = Path(__file__).parent / "configs"
BASE = "base"


@dataclass(frozen=True)
class RowsConfig:
    """Where the codes' rows of a model from scratch come from while it trains (see `rows`).

    "free": an ordinary embedding. "codebook": a network with `layers` hidden layers of `hidden` units from the codec's
    code vectors, to which `frequencies` random sines and cosines of them (of `bandwidth`) are added where above 0, plus
    with `residual` a free row for each code that begins at zero, learns at `residual_rate` times the learning rate and
    decays by `residual_decay`.
    """

    kind: Literal["free", "codebook"] = "free"
    hidden: int = 512
    layers: int = 1
    frequencies: int = 0
    bandwidth: float = 2.0
    residual: bool = True
    residual_rate: float = 1.0
    residual_decay: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, "hidden", "bandwidth", "residual_rate")
        _not_negative(self, "layers", "frequencies", "residual_decay")


@dataclass(frozen=True)
class ScratchConfig:
    """A model of its own: codes, a token that begins a clip and one that ends it, nothing else.

    `kv_heads` of None are as many as `heads`; `ffn` of None is 8/3 of the width, up to a multiple of 32. `dropout` is
    of what each layer adds, of the embeddings and of the last states; `token_dropout` hides that share of the tokens
    that the model reads (their embeddings become zero).
    """

    architecture: Literal["llama", "qwen3"] = "llama"
    layers: int = 4
    width: int = 192
    heads: int = 4
    kv_heads: int | None = None
    ffn: int | None = None
    tied: bool = True
    max_positions: int = 8192
    dropout: float = 0.0
    token_dropout: float = 0.0
    rows: RowsConfig = field(default_factory=RowsConfig)

    def __post_init__(self) -> None:
        _positive(self, "layers", "width", "heads", "max_positions")
        if self.width % (2 * self.heads):
            raise TrainConfigError(f"width must be a multiple of twice the heads, got {self.width} and {self.heads}")
        if self.kv_heads is not None and (self.kv_heads < 1 or self.heads % self.kv_heads):
            raise TrainConfigError(f"kv_heads must divide heads, got {self.kv_heads} and {self.heads}")
        for name in ("dropout", "token_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainConfigError(f"{name} lies in [0, 1), got {getattr(self, name)!r}")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank changes of linear layers: "all-linear", or the names of layers. Their scale is alpha / rank."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: str | tuple[str, ...] = "all-linear"

    def __post_init__(self) -> None:
        _positive(self, "rank", "alpha")


@dataclass(frozen=True)
class FinetuneConfig:
    """A causal LM to go on from, extended by a token for each code.

    `model` is "smollm2", a folder, a GGUF file or a hub id. `tune` says what trains: "all"; "lora", low-rank changes
    and the codes' rows; "audio_embeddings", the codes' rows alone. `dtype` is of weights that stay as they are.
    """

    model: str = "smollm2"
    tune: Literal["all", "lora", "audio_embeddings"] = "lora"
    lora: LoraSettings = field(default_factory=LoraSettings)
    dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.tune == "all" and self.dtype != "float32":
            raise TrainConfigError("weights that train are kept in float32; take precision: bfloat16 for the products")


@dataclass(frozen=True)
class LMTrainConfig:
    """A run: the model, its tokens, and how it learns.

    `tokens` and `validation` are token corpora, "FOLDER" or "FOLDER:SPLIT", all of one codec. `batch_rows` is the
    number of packed rows of a step, over all processes; `accumulation` the number of pieces that each process takes
    its part in. A row holds `row_tokens` positions. `codec` names the codec whose code vectors `scratch.rows` may
    need. `validation_clips` of 0 means all.
    """

    start: Literal["scratch", "finetune"] = "scratch"
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    tokens: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    codec: str = "llmcodec"
    seed: int = 0
    steps: int = 2_000
    row_tokens: int = 512
    batch_rows: int = 16
    accumulation: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            learning_rate=1e-3, final_learning_rate=1e-5, warmup=0.05, betas=(0.9, 0.98), weight_decay=0.1
        )
    )
    validation_clips: int = 0
    log_every: int = 20
    validate_every: int = 200
    checkpoint_every: int = 200
    keep_checkpoints: int = 1
    export_dtype: Literal["float32", "float16", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        _positive(self, "steps", "batch_rows", "accumulation", "log_every", "validate_every", "checkpoint_every")
        _positive(self, "keep_checkpoints")
        _not_negative(self, "validation_clips", "seed")
        if self.row_tokens < 2:
            raise TrainConfigError(f"row_tokens must be at least 2, got {self.row_tokens!r}")
        if self.batch_rows % self.accumulation:
            raise TrainConfigError(f"accumulation {self.accumulation} does not divide batch_rows {self.batch_rows}")

    def to_dict(self) -> dict[str, Any]:
        """A JSON- and YAML-ready dict, which `make_config` reads back."""
        return plain(self)


def make_config(values: Mapping[str, Any]) -> LMTrainConfig:
    """A config from plain values; unknown keys are errors that suggest the nearest."""
    return build(LMTrainConfig, values)


def load_config(name_or_path: str, overrides: Mapping[str, Any] | None = None) -> LMTrainConfig:
    """A bundled config by name or a YAML file, with `overrides` (the command line) on top. Unknown keys are errors.

    A file's key `base` names a config (bundled, or a file beside it) that it is a difference to.
    """
    return make_config(merged(_values(name_or_path, ()), overrides or {}))


def _values(name_or_path: str, seen: tuple[str, ...], beside: Path | None = None) -> dict[str, Any]:
    """The values of a config with those of its base below them."""
    import yaml

    near = [] if beside is None else [beside / name_or_path, beside / f"{name_or_path}.yaml"]
    places = [*near, Path(name_or_path), CONFIGS / f"{name_or_path}.yaml"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        known = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
        raise TrainConfigError(f"no language-model config {name_or_path!r}: give a YAML file or one of {known}")
    if str(path.resolve()) in seen:
        raise TrainConfigError(f"{path} is its own base, by way of {', '.join(seen)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise TrainConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise TrainConfigError(f"{path} should hold key: value lines, got {type(values).__name__}")
    base = values.pop(BASE, None)
    return values if base is None else merged(_values(str(base), (*seen, str(path.resolve())), path.parent), values)


def _positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise TrainConfigError(f"{name} must be above zero, got {getattr(config, name)!r}")


def _not_negative(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 0:
            raise TrainConfigError(f"{name} cannot be negative, got {getattr(config, name)!r}")
