"""What a run needs to go on: the weights that train, their optimizer and the step, saved whole or not at all.

Batches follow from (seed, epoch, row) and dropout from (seed, step), so no random state has to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.files import remove_own
from soundcodec_llmcodec.lm.training.embedding_rows import CodebookRows
from soundcodec_llmcodec.lm.training.lm_config import LMTrainConfig, make_config
from soundcodec_llmcodec.lm.training.network import Network
from soundcodec_llmcodec.runs.checkpoint_folders import read_facts, read_tensors, step_name, write_checkpoint
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.flattening import storable
from soundcodec_llmcodec.runs.resuming import check_same

STATE_VERSION = 1
BEST, BEST_TENSORS, BEST_FACTS = "best", "trained.safetensors", "best.json"
CHARACTERS = "characters"  # the fact that holds those of a model that speaks text
# What decides the batches and the weights: a resumed run must have the same.
FIXED = ("start", "scratch", "finetune", "text", "seed", "row_tokens", "batch_rows", "optimizer.kind")


@dataclass
class LMState:
    """The one mutable object of a run. `epoch` and `row` are the sampler's; `best` is (step, bits a token)."""

    config: LMTrainConfig
    network: Network
    optimizer: torch.optim.Optimizer
    step: int = 0
    epoch: int = 0
    row: int = 0
    best: tuple[int, float] | None = None

    @classmethod
    def create(cls, config: LMTrainConfig, network: Network) -> LMState:
        """A fresh state."""
        return cls(config, network, optimizer_of(network, config))

    def set_rates(self) -> float:
        """Set the learning rates for this step; returns the one of ordinary weights."""
        rate = self.config.optimizer.rate_at(self.step, self.config.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        return rate

    def save(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """Write `folder/step-N`, complete when it has that name; `facts` are kept with it, for `load` to compare."""
        tensors = {f"model.{name}": storable(tensor) for name, tensor in self.network.trained().items()}
        tensors |= {f"optimizer.{name}": storable(tensor) for name, tensor in self._moments().items()}
        plain: dict[str, Any] = {"version": STATE_VERSION, "step": self.step, "best": self.best}
        plain |= {"epoch": self.epoch, "row": self.row, "config": self.config.to_dict(), "facts": dict(facts)}
        return write_checkpoint(folder / step_name(self.step), tensors, plain)

    def load(self, folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Take over a saved step; the config may differ only in what is to come (steps, rates). Returns its facts.

        Raises TrainConfigError for another state version, or where a key of FIXED or one of `facts` has another value.
        """
        plain = read_facts(folder, STATE_VERSION)
        before = {**make_config(plain["config"]).to_dict(), **plain["facts"]}
        check_same(folder, before, {**self.config.to_dict(), **facts}, (*FIXED, *facts))
        tensors = read_tensors(folder)
        trained = self.network.trained()
        weights = {key.removeprefix("model."): t for key, t in tensors.items() if key.startswith("model.")}
        load_trained(self.network, weights, str(folder))
        for key, tensor in tensors.items():
            part, _, rest = key.partition(".")
            kind, _, name = rest.partition(".")
            if part == "optimizer":
                device = "cpu" if kind == "step" else trained[name].device
                self.optimizer.state[trained[name]][kind] = tensor.to(device)
        self.step, self.epoch, self.row = plain["step"], plain["epoch"], plain["row"]
        self.best = None if plain["best"] is None else (plain["best"][0], plain["best"][1])
        return dict(plain["facts"])

    def forget_best(self, folder: Path) -> None:
        """Drop `folder/best`: it was the best of another validation."""
        self.best = None
        remove_own(folder / BEST, (BEST_FACTS, BEST_TENSORS))

    def save_best(self, folder: Path, bits: float, facts: Mapping[str, Any]) -> None:
        """Write the weights that train to `folder/best`."""
        self.best = (self.step, bits)
        plain = {"version": STATE_VERSION, "step": self.step, "bits": bits, "config": self.config.to_dict()}
        tensors = {name: storable(tensor) for name, tensor in self.network.trained().items()}
        write_checkpoint(folder / BEST, tensors, {**plain, "facts": dict(facts)}, (BEST_TENSORS, BEST_FACTS))

    def _moments(self) -> dict[str, Tensor]:
        return {
            f"{kind}.{name}": value
            for name, parameter in self.network.trained().items()
            for kind, value in self.optimizer.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }


def load_trained(network: Network, tensors: Mapping[str, Tensor], where: str) -> None:
    """Put trained weights into a network, in place. Raises TrainConfigError where they are another network's."""
    trained = network.trained()
    differing = sorted(set(trained) ^ set(tensors))
    differing += [name for name in set(trained) & set(tensors) if trained[name].shape != tensors[name].shape]
    if differing:
        raise TrainConfigError(f"{where} holds another model's weights: {', '.join(differing[:5])} differ")
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(tensors[name])


def optimizer_of(network: Network, config: LMTrainConfig) -> torch.optim.Optimizer:
    """The optimizer of what trains. Matrices decay; gains and biases do not; a codebook's residual has its own rate."""
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "gains": [], "residual": []}
    residuals = {id(m.residual) for m in network.modules() if isinstance(m, CodebookRows) and m.residual is not None}
    for parameter in network.trained().values():
        kind = "residual" if id(parameter) in residuals else "matrices" if parameter.ndim >= 2 else "gains"
        groups[kind].append(parameter)
    rates, rows = config.optimizer, config.scratch.rows
    decays = {"matrices": rates.weight_decay, "gains": 0.0, "residual": rows.residual_decay}
    parameters = [
        {"params": members, "weight_decay": decays[kind], "rate": rows.residual_rate if kind == "residual" else 1.0}
        for kind, members in groups.items()
        if members
    ]
    return rates.build(parameters)


def saved_config(folder: Path) -> LMTrainConfig:
    """The config that a checkpoint was saved under; keys that came to be since then have their defaults."""
    return make_config(read_facts(folder)["config"])
