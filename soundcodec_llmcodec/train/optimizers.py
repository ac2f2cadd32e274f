"""The optimizer of what trains."""

from __future__ import annotations

import torch
from torch import nn

from soundcodec_llmcodec.train.config import OptimizerConfig


def optimizer_of(module: nn.Module, config: OptimizerConfig, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of a module. Matrices decay; gains, biases and code vectors do not."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        # original0 is the gain of a weight norm, whatever its shape.
        matrix = parameter.ndim >= 2 and "_codebook" not in name and not name.endswith("original0")
        (decayed if matrix else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    if config.kind == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=device.type == "cuda")
