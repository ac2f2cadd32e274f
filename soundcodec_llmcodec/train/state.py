"""Everything a run needs to go on: networks, averages, optimizers and the step, saved whole or not at all.

Batches and augmentation follow from (seed, step), so no sampler or random state has to be kept.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.train.config import FIXED, TrainConfig, TrainConfigError
from soundcodec_llmcodec.train.discriminators import Discriminators

STATE_VERSION = 1
TENSORS, FACTS = "state.safetensors", "state.json"


@dataclass(frozen=True)
class Adversary:
    """The discriminators and their optimizer."""

    discriminators: Discriminators
    optimizer: torch.optim.Optimizer


@dataclass
class TrainState:
    """The one mutable object of a run. `average` holds the exponential moving average of the model's tensors."""

    config: TrainConfig
    model: CodecModel
    average: CodecModel
    optimizer: torch.optim.Optimizer
    adversary: Adversary | None
    step: int = 0

    @classmethod
    def create(cls, config: TrainConfig, device: torch.device) -> TrainState:
        """A fresh, seeded state (from the checkpoint `config.init` if named)."""
        torch.manual_seed(config.seed)
        if config.init is None:
            model = CodecModel(config.codec_config)
        else:
            loaded = checkpoints.load(config.init)
            if loaded.config != config.codec_config:
                raise TrainConfigError(f"{config.init} is another codec than the config's {config.codec!r}")
            model = loaded.model.requires_grad_(True)
        model = model.to(device)
        fused = device.type == "cuda"
        optimizer = torch.optim.AdamW(
            _groups(model, config.weight_decay), lr=config.learning_rate, betas=config.betas, fused=fused
        )
        adversary = None
        if config.adversarial_start is not None:
            discriminators = Discriminators(config.discriminator_channels).to(device)
            rate = config.discriminator_learning_rate
            turn = torch.optim.AdamW(discriminators.parameters(), lr=rate, betas=config.betas, fused=fused)
            adversary = Adversary(discriminators, turn)
        average = copy.deepcopy(model).eval().requires_grad_(False)
        return cls(config, model, average, optimizer, adversary)

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the average towards the model; early on it follows faster, so that it forgets the start."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        ours, theirs = self.average.state_dict(), self.model.state_dict()
        floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in floats], [theirs[name] for name in floats], 1 - decay)

    @property
    def folder_name(self) -> str:
        """The name of this step's checkpoint."""
        return f"step-{self.step:08d}"

    def save(self, folder: Path) -> Path:
        """Write `folder/step-N`, complete when it has that name."""
        target = folder / self.folder_name
        scratch = folder / f".saving-{self.step:08d}-{os.getpid()}"
        scratch.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        plain: dict[str, Any] = {"version": STATE_VERSION, "step": self.step, "config": self.config.to_dict()}
        for name, part in self._parts():
            plain[name] = _flatten(part.state_dict(), name, tensors)
        save_file(tensors, scratch / TENSORS)
        (scratch / FACTS).write_text(json.dumps(plain), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        os.replace(scratch, target)
        return target

    def load(self, folder: Path) -> None:
        """Take over a saved step; the config may differ only in what is to come (steps, rates, weights).

        Raises TrainConfigError for another state version, or where a key of `config.FIXED` has another value.
        """
        plain = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if plain.get("version") != STATE_VERSION:
            raise TrainConfigError(f"{folder} has state version {plain.get('version')!r}, expected {STATE_VERSION}")
        before, now = plain["config"], json.loads(json.dumps(self.config.to_dict()))
        changed = [f"{key} was {before.get(key)!r}, now {now[key]!r}" for key in FIXED if before.get(key) != now[key]]
        if changed:
            raise TrainConfigError(
                f"{folder} is of another run: {'; '.join(changed)}. Use the same values, or another --out"
            )
        tensors = load_file(folder / TENSORS)
        for name, part in self._parts():
            if name not in plain:
                continue  # discriminators that join after this checkpoint start fresh
            saved = _unflatten(plain[name], tensors)
            if isinstance(part, torch.optim.Optimizer):
                # Moments are the past's, hyper-parameters are this config's.
                saved["param_groups"] = part.state_dict()["param_groups"]
            part.load_state_dict(saved)
        self.step = plain["step"]

    def _parts(self) -> Iterator[tuple[str, Any]]:
        yield "model", self.model
        yield "average", self.average
        yield "optimizer", self.optimizer
        if self.adversary is not None:
            yield "discriminators", self.adversary.discriminators
            yield "discriminator_optimizer", self.adversary.optimizer


def checkpoints_in(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / FACTS).is_file())


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what an interrupted save left."""
    for path in checkpoints_in(folder)[:-keep]:
        shutil.rmtree(path)
    for path in folder.glob(".saving-*"):
        shutil.rmtree(path)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; gains, biases and code vectors do not."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (decayed if parameter.ndim >= 2 and "_codebook" not in name else free).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def _flatten(value: Any, prefix: str, tensors: dict[str, Tensor]) -> Any:
    """A JSON-ready copy in which every tensor is {"tensor": name}; the tensors go into `tensors`."""
    if isinstance(value, Tensor):
        tensors[prefix] = value.detach().cpu().contiguous().clone()
        return {"tensor": prefix}
    if isinstance(value, Mapping):
        return {"dict": [[key, _flatten(item, f"{prefix}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_flatten(item, f"{prefix}.{index}", tensors) for index, item in enumerate(value)]
    return value


def _unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _unflatten(item, tensors) for key, item in value["dict"]}
    if isinstance(value, list):
        return [_unflatten(item, tensors) for item in value]
    return value
