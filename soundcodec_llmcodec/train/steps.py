"""One training step: the losses of a batch, gradients of everything that trains, and one update.

Letters: B batch, S samples, F frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from soundcodec_llmcodec.nn.quantizer import Quantized
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.train.adversarial_losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
    lazy_weight,
    r1_penalty,
)
from soundcodec_llmcodec.train.audio_batch import AudioBatch, Shares, pieces_of, text_share, texts_read
from soundcodec_llmcodec.train.codec_state import TrainState
from soundcodec_llmcodec.train.discriminators import Discriminators
from soundcodec_llmcodec.train.frozen_teacher import FrozenTeacher
from soundcodec_llmcodec.train.loss_names import ADVERSARIAL, LANGUAGE, ON_WAVE
from soundcodec_llmcodec.train.losses.pitch_loss import PitchLoss
from soundcodec_llmcodec.train.losses.reconstruction import ReconstructionLosses
from soundcodec_llmcodec.train.losses.teacher_loss import TeacherLoss
from soundcodec_llmcodec.train.noise import masked_noise
from soundcodec_llmcodec.train.objectives.language import FrozenLM, LanguageInputs
from soundcodec_llmcodec.train.optimizers import clip_groups
from soundcodec_llmcodec.train.revival import revive
from soundcodec_llmcodec.train.train_config import TrainConfig


@dataclass(frozen=True)
class Tools:
    """What a step uses and does not change: the reconstruction losses, the other processes, the frozen LLM and the
    frozen teacher, that of the semantic loss where it is not the codec's own, the loss of the pitch."""

    losses: ReconstructionLosses
    world: World
    lm: FrozenLM | None = None
    teacher: TeacherLoss | None = None
    semantic: FrozenTeacher | None = None
    pitch: PitchLoss | None = None


@dataclass(frozen=True)
class StepResult:
    """Losses and gradient norms by name, the means over all processes; `applied` is False where one was not finite and
    nothing was updated."""

    values: dict[str, Tensor]
    applied: bool


def train_step(state: TrainState, tools: Tools, batch: AudioBatch) -> StepResult:
    """Update everything that trains on a batch (that of all processes; each takes its rows), and count the step.

    Before `codec_start` the codec's optimizer takes no step, and nothing else of the codec moves either.
    """
    config, world, learns = state.config, tools.world, state.codec_learns
    weights = {name: config.weight(name, state.step) for name in config.losses}
    # Batch norms and the bank of texts change in the forward pass, before anybody knows whether the step counts.
    before = [(buffer, buffer.clone()) for _, module, _ in state.modules() for buffer in module.buffers()]
    state.train()
    state.set_rates()
    for optimizer, _ in state.optimizers():
        optimizer.zero_grad(set_to_none=True)
    # Drawn for the whole batch, so that a clip's noise does not depend on who takes it.
    noisy = masked_noise(batch.padded, state.model.config, config.noise, generator_of(config.seed, state.step, 3))
    batch = replace(batch, padded=noisy, texts=texts_read(batch, world, config))
    sums: dict[str, Tensor] = {}
    parts = list(pieces_of(batch, world, config.accumulation))
    texts = sum(text is not None for text in batch.texts)
    codes: list[Tensor] = []
    for part in parts:
        shares = Shares(1 / len(parts), text_share(part, parts, world, texts), texts)
        values, quantized = _backward(state, tools, part, weights, shares)
        codes.append(quantized.codes)
        for name, value in values.items():
            sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach() / len(parts)
    world.average_gradients(parameter for _, module, _ in state.modules() for parameter in module.parameters())
    values = world.means(sums)
    total = _total(values, weights)
    norms = _clipped_norms(state)
    applied = all(math.isfinite(float(value)) for value in (total, *norms.values()))
    if applied:
        for optimizer, _ in state.optimizers():
            if learns or optimizer is not state.optimizer:
                optimizer.step()
        state.usage.update(torch.cat(codes), config.revival.window, world)
        if state.balance is not None:
            state.balance.update(values)
        if state.language is not None:
            # One bank for all, so that every process goes on from what the main one saves.
            world.share(state.language.alignment.buffers())
        if config.batch_norm == "train" and learns:
            world.average_buffers(state.model)
        if learns and config.revival.every and (state.step + 1) % config.revival.every == 0:
            drawn = generator_of(config.seed, state.step, 2)
            revived = revive(state.model, state.usage, quantized, state.optimizer, config.revival, drawn, world)
            state.adopt_codebook()
            values["revived"] = torch.tensor(float(revived), device=total.device)
    else:
        with torch.no_grad():
            for buffer, was in before:
                buffer.copy_(was)
    state.step += 1
    if applied:
        state.update_average()
    return StepResult({**values, "total": total, **norms}, applied)


def generator_of(
    seed: int, step: int, purpose: int, row: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Random numbers that follow from the step, what they are for, and a batch's row."""
    mixed = np.random.SeedSequence([seed, step, purpose, row]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(mixed >> np.uint64(1)))


def drawn_levels(config: TrainConfig, step: int) -> int | None:
    """How many of the codec's levels a step decodes from: one of its choices, each as likely; None means all."""
    choices = config.codec_config.level_choices
    if not choices:
        return None
    return choices[int(torch.randint(len(choices), (1,), generator=generator_of(config.seed, step, 6)))]


def autocast(config: TrainConfig, device: torch.device, adversary: bool = False) -> torch.autocast:
    """bfloat16 for products where the config asks for it, in the discriminators or in the rest."""
    exact = config.precision == "float32" or (adversary and config.adversary.precision == "float32")
    return torch.autocast(device.type, torch.bfloat16, enabled=not exact)


def _backward(
    state: TrainState, tools: Tools, part: AudioBatch, weights: Mapping[str, float], shares: Shares
) -> tuple[dict[str, Tensor], Quantized]:
    """Add a piece's share of the gradients to what trains; returns its losses by name, and its codes."""
    config, device = state.config, part.target.device
    branch = state.model.tokenizer.semantic
    with autocast(config, device), torch.set_grad_enabled(state.codec_learns):
        states = None if branch is None else branch.states(part.padded)
        decoded, quantized = state.model.reconstruct(
            part.padded, states=states, levels=drawn_levels(config, state.step)
        )
    estimate = decoded.samples
    # Equal in all pieces and processes, so that their mean is still that of one batch.
    scales = tools.losses.drawn(config.scales_share, generator_of(config.seed, state.step, 5))
    values = tools.losses(part.target, estimate, scales)
    if tools.teacher is not None and weights.get("teacher", 0.0) > 0:
        with autocast(config, device):
            values["teacher"] = tools.teacher(part.target, estimate)
    if tools.pitch is not None and decoded.pitch_logits is not None and weights.get("pitch", 0.0) > 0:
        values["pitch"] = tools.pitch(part.target, decoded.pitch_logits)
    semantic = state.others.get("semantic")
    if semantic is not None and weights.get("semantic", 0.0) > 0:
        with autocast(config, device):
            if tools.semantic is not None:
                with torch.no_grad():
                    states = tools.semantic.states(part.target)
            values["semantic"] = semantic.module(quantized.features, states)
    values["commitment"], values["codebook"] = quantized.commitment_loss, quantized.codebook_loss
    if "discriminators" in state.others and state.step >= config.discriminators_begin:
        values |= _adversarial_values(state, part.target, estimate, weights, shares.piece)
    level = state.model.tokenizer.vq.levels[0]
    language = state.others.get("language")
    if language is not None and tools.lm is not None and any(weights.get(name, 0.0) > 0 for name in LANGUAGE):
        inputs = LanguageInputs(quantized, part.texts, state.step)
        # On the device itself: noise for every code of every frame is too much to move there.
        drawn = generator_of(config.seed, state.step, 4, part.first_row, device)
        with autocast(config, device):
            language_values = language.module(tools.lm, level, inputs, weights, drawn)
        for name in ("alignment", "contrast"):
            if name in language_values:
                language_values[name] = language_values[name] * shares.texts
        values |= language_values | {"texts_watched": torch.tensor(float(shares.n_texts), device=device)}
    prior = state.others.get("prior")
    if prior is not None and weights.get("prior", 0.0) > 0:
        prior_loss = prior.module(quantized, level)
        values |= {"prior": prior_loss.loss, "prior_bits": prior_loss.nll_bits}
    values |= _propagate(state, tools.world, estimate, values, weights, shares.piece)
    return values, quantized


def _propagate(
    state: TrainState,
    world: World,
    estimate: Tensor,
    values: Mapping[str, Tensor],
    weights: Mapping[str, float],
    share: float,
) -> dict[str, Tensor]:
    """Add the gradients of a piece's losses to all that trains but the discriminators; returns the norms at the wave
    where they are balanced there."""
    norms: dict[str, Tensor] = {}
    roots: list[Tensor] = []
    gradients: list[Tensor | None] = []
    if state.balance is not None and estimate.requires_grad:
        gradient, norms = state.balance(estimate, values, weights, world)
        roots, gradients = [estimate], [(gradient * share).to(estimate.dtype)]
        weights = {name: weight for name, weight in weights.items() if name not in ON_WAVE}
    total = _total(values, weights) * share
    if total.requires_grad:  # not so where nothing but a detached bridge counts
        roots, gradients = [*roots, total], [*gradients, None]
    if roots:
        # The discriminators' graph, which the codec's losses share with their own, is not to reach them.
        others = (module for name, module, _ in state.modules() if name != "discriminators")
        inputs = [parameter for module in others for parameter in module.parameters() if parameter.requires_grad]
        torch.autograd.backward(roots, gradients, inputs=inputs)
    return norms


def _total(values: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the losses that count."""
    counted = [weight * values[name] for name, weight in weights.items() if name in values and weight > 0]
    return torch.stack(counted).sum() if counted else torch.zeros((), device=values["codebook"].device)


def _adversarial_values(
    state: TrainState, target: Tensor, estimate: Tensor, weights: Mapping[str, float], share: float
) -> dict[str, Tensor]:
    """The discriminators' turn, and the codec's adversarial losses once they count.

    The discriminators' own gradients are added here; from the codec's losses they take none.
    """
    config, discriminators = state.config, state.others["discriminators"].module
    assert isinstance(discriminators, Discriminators)
    start, length = _adversarial_crop(state, target)
    real, fake = target[:, start : start + length], estimate[:, start : start + length]
    counts = any(weights.get(name, 0.0) > 0 for name in ADVERSARIAL)
    adversary = config.adversary
    with autocast(config, real.device, adversary=True):
        on_real, on_fake = discriminators(real), discriminators(fake if counts else fake.detach())
    own = discriminator_loss(on_real, on_fake, adversary.loss, adversary.reduction)
    values = {"discriminator": own}
    lazy = lazy_weight(state.step, adversary.r1_every, adversary.r1_lazy)
    if lazy:
        values["r1"] = r1_penalty(discriminators, real, adversary.r1_gamma, adversary.reduction)
        own = own + lazy * values["r1"]
    # Both sides take the outputs of the same weights, which change at the end of the step: once is enough.
    (own * share).backward(inputs=list(discriminators.parameters()), retain_graph=counts)
    if counts:
        values["adversarial"] = adversarial_loss(on_fake, adversary.loss, adversary.reduction)
        values["feature_matching"] = feature_matching_loss(
            on_real, on_fake, adversary.reduction, adversary.feature_error
        )
    return values


def _adversarial_crop(state: TrainState, target: Tensor) -> tuple[int, int]:
    """(start, length): a stretch of the batch that follows from the step alone."""
    config = state.config
    length = min(target.shape[1], int(config.adversary.segment_s * config.codec_config.sample_rate))
    drawn = generator_of(config.seed, state.step, 1)
    return int(torch.randint(0, target.shape[1] - length + 1, (1,), generator=drawn)), length


def _clipped_norms(state: TrainState) -> dict[str, Tensor]:
    """The gradient norm of each part of the codec and of what trains beside it; gradients are clipped after that."""
    tokenizer = state.model.tokenizer
    quantizer = list(tokenizer.vq.parameters())
    apart = {id(parameter) for parameter in quantizer}
    parts: dict[str, list[nn.Parameter]] = {
        "encoder": [parameter for parameter in tokenizer.parameters() if id(parameter) not in apart],
        "quantizer": quantizer,
        "decoder": list(state.model.token2wav.parameters()),
        **{name: list(part.module.parameters()) for name, part in state.others.items()},
    }
    norms = {f"gradient/{name}": _norm(parameters) for name, parameters in parts.items()}
    for group in clip_groups(state.config, state.model, state.others):
        nn.utils.clip_grad_norm_(group.parameters, group.largest_norm)
    return norms


def _norm(parameters: list[nn.Parameter]) -> Tensor:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.zeros((), device=parameters[0].device)
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
