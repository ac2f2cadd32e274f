"""One frozen description of a language model's training run, from YAML and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from soundcodec_llmcodec.runs.config_files import BundledConfigs
from soundcodec_llmcodec.runs.config_values import build, plain
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.setting import setting

BUNDLED = BundledConfigs(Path(__file__).parent / "configs", "language-model config")


@dataclass(frozen=True)
class RowsConfig:
    """Where the codes' embedding rows of a model from scratch come from while it trains (see `embedding_rows`)."""

    kind: Literal["free", "codebook"] = setting(
        "free", "free: an ordinary embedding; codebook: a network of the codec's code vectors"
    )
    hidden: int = setting(512, "hidden units of a layer of that network")
    layers: int = setting(1, "hidden layers of that network")
    frequencies: int = setting(0, "random sines and cosines of the code vectors that the network sees, too")
    bandwidth: float = setting(2.0, "standard deviation of their frequencies")
    residual: bool = setting(True, "whether each code has a free row, zero at the start, beside what the network gives")
    residual_rate: float = setting(1.0, "learning rate of those free rows over the ordinary one")
    residual_decay: float = setting(0.1, "weight decay of those free rows")

    def __post_init__(self) -> None:
        _positive(self, "hidden", "bandwidth", "residual_rate")
        _not_negative(self, "layers", "frequencies", "residual_decay")


@dataclass(frozen=True)
class ScratchConfig:
    """A model of its own: codes, a token that begins a clip and one that ends it, nothing else."""

    architecture: Literal["llama", "qwen3"] = setting("llama", "the architecture, as transformers has it")
    layers: int = setting(4, "transformer layers")
    width: int = setting(192, "features of a layer")
    heads: int = setting(4, "attention heads of a layer")
    kv_heads: int | None = setting(None, "heads of keys and values (null: as many as heads)")
    ffn: int | None = setting(None, "features of the feed-forward (null: 8/3 of the width, up to a multiple of 32)")
    tied: bool = setting(True, "whether input and output have the same embedding rows")
    max_positions: int = setting(8192, "positions that the model is made for")
    dropout: float = setting(0.0, "dropout of what each layer adds, of the embeddings and of the last states")
    token_dropout: float = setting(0.0, "share of the read tokens that are masked: their embeddings become zero")
    rows: RowsConfig = setting(RowsConfig, "where the codes' embedding rows come from while the model trains")

    def __post_init__(self) -> None:
        _positive(self, "layers", "width", "heads", "max_positions")
        if self.width % (2 * self.heads):
            raise TrainConfigError(f"width must be a multiple of twice the heads, got {self.width} and {self.heads}")
        if self.kv_heads is not None and (self.kv_heads < 1 or self.heads % self.kv_heads):
            raise TrainConfigError(f"kv_heads must divide heads, got {self.kv_heads} and {self.heads}")
        for name in ("dropout", "token_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainConfigError(f"{name} must lie in [0, 1), got {getattr(self, name)!r}")


@dataclass(frozen=True)
class TextConfig:
    """The text that stands before a clip's tokens, for a model that speaks text."""

    kind: Literal["none", "characters"] = setting(
        "none", "none: tokens alone; characters: each clip's text stands before its tokens, character by character"
    )
    characters: str | None = setting(None, "the characters that the model knows (null: those of the training texts)")

    def __post_init__(self) -> None:
        if self.kind == "none" and self.characters is not None:
            raise TrainConfigError("characters belong to text.kind: characters, got kind: none")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank changes of linear layers."""

    rank: int = setting(16, "rank of the changes")
    alpha: int = setting(32, "scale of the changes, times their rank")
    dropout: float = setting(0.0, "dropout of the changes' inputs")
    targets: str | tuple[str, ...] = setting("all-linear", "the layers: all-linear, or a list of their names")

    def __post_init__(self) -> None:
        _positive(self, "rank", "alpha")


@dataclass(frozen=True)
class FinetuneConfig:
    """A causal LM to go on from, extended by a token for each code."""

    model: str = setting("smollm2", 'the LM: "smollm2", a folder, a GGUF file or a hub id')
    tune: Literal["all", "lora", "audio_embeddings"] = setting(
        "lora",
        "what trains: all; lora, low-rank changes and the codes' embedding rows; audio_embeddings, those rows alone",
    )
    lora: LoraSettings = setting(LoraSettings, "low-rank changes")
    dtype: Literal["float32", "bfloat16"] = setting("float32", "type of weights that stay as they are")
    gradient_checkpointing: bool = setting(False, "whether layers are computed twice to save memory")

    def __post_init__(self) -> None:
        if self.tune == "all" and self.dtype != "float32":
            raise TrainConfigError("weights that train are kept in float32; take precision: bfloat16 for the products")


@dataclass(frozen=True)
class LMTrainConfig:
    """A run: the model, its tokens, and how it learns."""

    start: Literal["scratch", "finetune"] = setting("scratch", "a model of its own, or a causal LM to go on from")
    scratch: ScratchConfig = setting(ScratchConfig, "the model of its own")
    finetune: FinetuneConfig = setting(FinetuneConfig, "the causal LM to go on from")
    tokens: tuple[str, ...] = setting((), 'token corpora, "FOLDER" or "FOLDER:SPLIT", all of one codec')
    validation: tuple[str, ...] = setting((), "held-out token corpora of the same codec")
    text: TextConfig = setting(TextConfig, "the text before a clip's tokens, for text to speech (lm speak)")
    codec: str = setting("llmcodec", "the codec whose code vectors scratch.rows may need: a name, folder or hub id")
    seed: int = setting(0, "seed of weights, batches and dropout")
    steps: int = setting(2_000, "steps of the whole run")
    row_tokens: int = setting(512, "positions of a packed row")
    batch_rows: int = setting(16, "packed rows of a step, over all processes")
    accumulation: int = setting(1, "pieces that each process takes its part of a batch in")
    precision: Literal["float32", "bfloat16"] = setting("float32", "precision of the model's matrix products")
    optimizer: OptimizerConfig = setting(
        lambda: OptimizerConfig(
            learning_rate=1e-3, final_learning_rate=1e-5, warmup=0.05, betas=(0.9, 0.98), weight_decay=0.1
        ),
        "the optimizer",
    )
    validation_clips: int = setting(0, "held-out clips that are validated on, the first (0: all)")
    log_every: int = setting(20, "steps from one row of the log to the next")
    validate_every: int = setting(200, "steps from one validation to the next")
    checkpoint_every: int = setting(200, "steps from one checkpoint to the next")
    keep_checkpoints: int = setting(1, "checkpoints that are kept, the newest")
    export_dtype: Literal["float32", "float16", "bfloat16"] = setting("float32", "type of the exported weights")

    def __post_init__(self) -> None:
        _positive(self, "steps", "batch_rows", "accumulation", "log_every", "validate_every", "checkpoint_every")
        _positive(self, "keep_checkpoints")
        _not_negative(self, "validation_clips", "seed")
        if self.text.kind != "none" and self.start != "scratch":
            raise TrainConfigError("text.kind: characters is for a model of its own, start: scratch")
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
    """A bundled config by name or a YAML file, with `overrides` (the command line) on top. Unknown keys are errors."""
    return make_config(BUNDLED.values(name_or_path, overrides))


def _positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise TrainConfigError(f"{name} must be above zero, got {getattr(config, name)!r}")


def _not_negative(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 0:
            raise TrainConfigError(f"{name} cannot be negative, got {getattr(config, name)!r}")
