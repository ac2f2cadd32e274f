"""Which optimizer has which parameters, and whose gradients are clipped together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.train.objectives.bridge import Bridge
from soundcodec_llmcodec.train.objectives.language import LanguageObjectives
from soundcodec_llmcodec.train.train_config import TrainConfig


@dataclass(frozen=True)
class TrainedPart:
    """Something that trains beside the codec, with its own optimizer and rates."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    rates: OptimizerConfig


@dataclass(frozen=True)
class ClipGroup:
    """Parameters whose gradients have one norm, and the largest that it may be."""

    parameters: tuple[nn.Parameter, ...]
    largest_norm: float


def optimizer_of(
    module: nn.Module,
    config: OptimizerConfig,
    device: torch.device,
    *,
    beside: nn.Module | None = None,
    without: nn.Module | None = None,
) -> torch.optim.Optimizer:
    """The optimizer of a module, with what is `beside` it and `without` a part of it.

    Matrices decay; gains, biases and code vectors do not.
    """
    named = [*module.named_parameters(), *(() if beside is None else beside.named_parameters())]
    left_out = set() if without is None else {id(parameter) for parameter in without.parameters()}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in named:
        if not parameter.requires_grad or id(parameter) in left_out:
            continue
        # original0 is the gain of a weight norm, whatever its shape.
        matrix = parameter.ndim >= 2 and "_codebook" not in name and not name.endswith("original0")
        (decayed if matrix else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return config.build(groups, fused=device.type in ("cpu", "cuda"))


def bridge_of_codec(config: TrainConfig, language: nn.Module | None) -> Bridge | None:
    """The bridge of the language part where the codec's optimizer has it, else None."""
    if isinstance(language, LanguageObjectives) and config.language.bridge.optimizer == "codec":
        return language.bridge
    return None


def clip_groups(config: TrainConfig, model: CodecModel, others: Mapping[str, TrainedPart]) -> list[ClipGroup]:
    """What is clipped together: each optimizer's parameters, the codec's in two where it is clipped apart.

    The bridge is with the encoder where the codec's optimizer has it.
    """
    bridge = bridge_of_codec(config, others["language"].module if "language" in others else None)
    with_encoder = () if bridge is None else tuple(bridge.parameters())
    largest = config.optimizer.largest_norm
    parts = (model.tokenizer, model.token2wav) if config.clip_apart else (model,)
    first, *rest = (tuple(part.parameters()) for part in parts)
    groups = [ClipGroup((*first, *with_encoder), largest), *(ClipGroup(parameters, largest) for parameters in rest)]
    with_codec = {id(parameter) for parameter in with_encoder}
    for part in others.values():
        own = tuple(parameter for parameter in part.module.parameters() if id(parameter) not in with_codec)
        groups.append(ClipGroup(own, part.rates.largest_norm))
    return groups
