"""Everything a run needs to go on: networks, averages, optimizers and the step, saved whole or not at all.

Batches and augmentation follow from (seed, step), so no sampler or random state has to be kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.semantic_encoder import SemanticEncoder
from soundcodec_llmcodec.runs.checkpoint_folders import read_facts, read_tensors, step_name, write_checkpoint
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.flattening import flatten, unflatten
from soundcodec_llmcodec.runs.optimizer_config import OptimizerConfig
from soundcodec_llmcodec.runs.resuming import check_same
from soundcodec_llmcodec.runs.schedules import in_steps
from soundcodec_llmcodec.teachers import PREFIX as TEACHER
from soundcodec_llmcodec.teachers import load_teacher
from soundcodec_llmcodec.train.balance import WaveBalance
from soundcodec_llmcodec.train.discriminators import Discriminators
from soundcodec_llmcodec.train.loss_names import ADVERSARIAL, LANGUAGE
from soundcodec_llmcodec.train.objectives.language import LanguageObjectives, Start
from soundcodec_llmcodec.train.objectives.prior import CausalPrior
from soundcodec_llmcodec.train.objectives.semantic_decoder import SemanticDecoder, teacher_of_loss
from soundcodec_llmcodec.train.optimizers import TrainedPart, bridge_of_codec, optimizer_of
from soundcodec_llmcodec.train.revival import CodeUsage
from soundcodec_llmcodec.train.starting import bundled_parts, model_of, take_over
from soundcodec_llmcodec.train.train_config import TrainConfig, make_config

STATE_VERSION = 2
# What decides the batches and the networks: a resumed run must have the same.
FIXED: tuple[str, ...] = (
    "codec",
    "trains",
    "seed",
    "batch_size",
    "segment_s",
    "speeds",
    "gain_db",
    "phase_jitter",
    "draw",
    "padding",
    "random_polarity",
    "optimizer.kind",
    "adversary.discriminators",
    "adversary.optimizer.kind",
    "prior",
    "prior_optimizer.kind",
    "semantic_decoder",
    "language.rows",
    "language.row_hidden",
    "language.alignment",
    "language.future_heads",
    "language.text_coverage",
    "language.text_share",
    "language.bridge.logits",
    "language.bridge.optimizer",
    "language.optimizer.kind",
)


@dataclass
class TrainState:
    """The one mutable object of a run.

    `average` holds the exponential moving average of the model's tensors; `others` are "discriminators", "language",
    "prior" and "semantic" where the config's losses need them, `balance` what gradients at the wave are balanced by.
    `skipped` counts steps that were passed over for a loss that was not finite.
    """

    config: TrainConfig
    model: CodecModel
    average: CodecModel
    optimizer: torch.optim.Optimizer
    others: dict[str, TrainedPart]
    usage: CodeUsage
    step: int = 0
    skipped: int = 0
    balance: WaveBalance | None = None

    @classmethod
    def create(cls, config: TrainConfig, device: torch.device, start: Start | None = None) -> TrainState:
        """A fresh, seeded state (from the checkpoint `config.init` if named). Language losses need a `start`."""
        torch.manual_seed(config.seed)
        codec = config.codec_config
        bundle = bundled_parts(config.init)
        if bundle is not None:
            model = CodecModel(codec)
            model.load_state_dict(bundle["average"])
        elif config.init is None:
            model = CodecModel(codec)
            if model.tokenizer.semantic is not None:
                encoder = model.tokenizer.semantic.encoder
                assert isinstance(encoder, SemanticEncoder)
                load_teacher(encoder)
        else:
            model = model_of(config.init, codec, f"the config's {config.codec!r}").requires_grad_(True)
        model = model.to(device)
        if model.tokenizer.semantic is not None:
            model.tokenizer.semantic.encoder.requires_grad_(False)
        if config.trains == "decoder":
            model.tokenizer.requires_grad_(False)
        modules: dict[str, tuple[nn.Module, OptimizerConfig]] = {}
        if config.uses(*ADVERSARIAL):
            discriminators = Discriminators(config.adversary.discriminators)
            modules["discriminators"] = (discriminators, config.adversary.optimizer)
        if config.uses(*LANGUAGE):
            if start is None:
                raise TrainConfigError("language losses need a language model's rows to start from")
            language = LanguageObjectives(config.language, codec, start)
            modules["language"] = (language, config.language.optimizer)
        if config.uses("prior"):
            modules["prior"] = (CausalPrior(config.prior, codec), config.prior_optimizer)
        if config.uses("semantic"):
            teacher = teacher_of_loss(config.teacher, codec)
            modules["semantic"] = (SemanticDecoder(config.semantic_decoder, teacher, codec), config.optimizer)
        for name, (module, _) in modules.items():
            if bundle is not None and name in bundle:
                take_over(module, bundle[name], f"{name} of {config.init}")
        bridge = bridge_of_codec(config, modules["language"][0] if "language" in modules else None)
        others = {
            name: TrainedPart(module.to(device), optimizer_of(module, rates, device, without=bridge), rates)
            for name, (module, rates) in modules.items()
        }
        average = copy.deepcopy(model).eval().requires_grad_(False)
        usage = CodeUsage(codec.num_quantizers, codec.codebook_size).to(device)
        balance = WaveBalance(config.balance, config.losses).to(device) if config.balance.enabled else None
        optimizer = optimizer_of(model, config.optimizer, device, beside=bridge)
        return cls(config, model, average, optimizer, others, usage, balance=balance)

    @property
    def language(self) -> LanguageObjectives | None:
        """What trains beside the codec for an LLM's sake; None where no loss asks for it."""
        part = self.others.get("language")
        return part.module if part is not None and isinstance(part.module, LanguageObjectives) else None

    @property
    def codec_steps(self) -> int:
        """How many steps the codec has taken, those passed over counting; 0 or less while it still waits."""
        return self.step - in_steps(self.config.codec_start, self.config.steps)

    @property
    def codec_learns(self) -> bool:
        """Whether the codec takes part in the step to come."""
        return self.codec_steps >= 0

    def set_rates(self) -> float:
        """Set every optimizer's learning rate for this step; returns the codec's."""
        adversary = self.others.get("discriminators")
        for optimizer, rates in self.optimizers():
            # Discriminators may join late, and learn from then on as from a run's beginning.
            began = self.config.discriminators_begin if adversary and optimizer is adversary.optimizer else 0
            rate = rates.rate_at(max(0, self.step - began), self.config.steps - began)
            for group in optimizer.param_groups:
                group["lr"] = rate
        return float(self.optimizer.param_groups[0]["lr"])

    def optimizers(self) -> Iterator[tuple[torch.optim.Optimizer, OptimizerConfig]]:
        """Every optimizer with its rates, the codec's first."""
        yield self.optimizer, self.config.optimizer
        for part in self.others.values():
            yield part.optimizer, part.rates

    def modules(self) -> Iterator[tuple[str, nn.Module, OptimizerConfig]]:
        """What trains, by name, with its rates: "codec" and the others."""
        yield "codec", self.model, self.config.optimizer
        for name, part in self.others.items():
            yield name, part.module, part.rates

    def train(self) -> None:
        """Put everything into training mode; batch norms stay as they are where they, or the codec, are frozen."""
        for _, module, _ in self.modules():
            module.train()
        if self.config.batch_norm == "frozen" or not self.codec_learns:
            for layer in self.model.modules():
                if isinstance(layer, nn.BatchNorm1d):
                    layer.eval()
        if self.config.trains == "decoder":
            self.model.tokenizer.eval()

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the average towards the model; early on it follows faster, so that it forgets the start.

        While the codec waits, there is nothing to follow.
        """
        taken = self.codec_steps
        if taken <= 0:
            return
        decay = min(self.config.ema_decay, (1 + taken) / (10 + taken))
        ours, theirs = self.average.state_dict(), self.model.state_dict()
        floats = [name for name, tensor in ours.items() if tensor.is_floating_point() and not name.startswith(TEACHER)]
        torch._foreach_lerp_([ours[name] for name in floats], [theirs[name] for name in floats], 1 - decay)

    @torch.no_grad()
    def adopt_codebook(self) -> None:
        """Make the average's code vectors the model's: between a code's old place and a revived one there is
        nothing."""
        for ours, theirs in zip(self.average.tokenizer.vq.levels, self.model.tokenizer.vq.levels, strict=True):
            ours.codebook.copy_(theirs.codebook)

    def save(self, folder: Path, facts: Mapping[str, Any] | None = None) -> Path:
        """Write `folder/step-N`, complete when it has that name; `facts` are kept with it, for `load` to compare."""
        tensors: dict[str, Tensor] = {}
        plain: dict[str, Any] = {"version": STATE_VERSION, "step": self.step, "skipped": self.skipped}
        plain |= {"config": self.config.to_dict(), "facts": dict(facts or {})}
        language = self.language
        if language is not None:
            codes, width = language.shape
            plain["language_shapes"] = {"codes": codes, "width": width, "depth": language.alignment.depth}
        for name, part in self.parts():
            state = part.state_dict()
            if isinstance(part, CodecModel):
                state = {key: tensor for key, tensor in state.items() if not key.startswith(TEACHER)}
            plain[name] = flatten(state, name, tensors)
        return write_checkpoint(folder / step_name(self.step), tensors, plain)

    def load(self, folder: Path, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Take over a saved step; the config may differ only in what is to come (steps, rates, weights). Returns its
        facts.

        Raises TrainConfigError for another state version, or where a key of FIXED or one of `facts` has another value.
        """
        plain = read_facts(folder, STATE_VERSION)
        facts = facts or {}
        # What was written before a key came to be has the key's default.
        before = {**make_config(plain["config"]).to_dict(), **plain["facts"]}
        check_same(folder, before, {**self.config.to_dict(), **facts}, (*FIXED, *facts))
        tensors = read_tensors(folder)
        for name, part in self.parts():
            if name not in plain:
                continue  # what joins after this checkpoint starts fresh
            saved = unflatten(plain[name], tensors)
            if isinstance(part, torch.optim.Optimizer):
                # Moments are the past's, hyper-parameters are this config's.
                saved["param_groups"] = part.state_dict()["param_groups"]
            if isinstance(part, CodecModel):
                saved = {key: tensor for key, tensor in part.state_dict().items() if key.startswith(TEACHER)} | saved
            part.load_state_dict(saved)
        self.step, self.skipped = plain["step"], plain["skipped"]
        return dict(plain["facts"])

    def parts(self) -> Iterator[tuple[str, Any]]:
        """Everything that is saved, by name: modules and optimizers."""
        yield "model", self.model
        yield "average", self.average
        yield "optimizer", self.optimizer
        yield "usage", self.usage
        if self.balance is not None:
            yield "balance", self.balance
        for name, part in self.others.items():
            yield name, part.module
            yield f"{name}_optimizer", part.optimizer


def saved_config(folder: Path) -> TrainConfig:
    """The config that a checkpoint was saved under; keys that came to be since then have their defaults."""
    return make_config(read_facts(folder)["config"])
