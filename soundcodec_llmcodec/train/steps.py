"""One training step: the losses of a batch, gradients of everything that trains, and one update.

Letters: B batch, S samples, F frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from soundcodec_llmcodec.nn.quantizer import Quantized
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.train.codec_state import TrainState
from soundcodec_llmcodec.train.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
    lazy_weight,
    r1_penalty,
)
from soundcodec_llmcodec.train.loss_names import ADVERSARIAL, LANGUAGE, ON_WAVE
from soundcodec_llmcodec.train.losses.pitch_loss import PitchLoss
from soundcodec_llmcodec.train.losses.reconstruction import ReconstructionLosses
from soundcodec_llmcodec.train.losses.teacher_loss import TeacherLoss
from soundcodec_llmcodec.train.noise import masked_noise
from soundcodec_llmcodec.train.objectives.language import Asked, FrozenLM
from soundcodec_llmcodec.train.optimizers import clip_groups
from soundcodec_llmcodec.train.revival import revive
from soundcodec_llmcodec.train.train_config import TrainConfig


@dataclass(frozen=True)
class AudioBatch:
    """padded (B, (F - 1) * hop + n_fft): what the encoder sees; target (B, F * hop): what the decoder should give; the
    clips' ids, and their texts where the crop holds the words. `first_row` is its place in the step's whole batch."""

    padded: Tensor
    target: Tensor
    ids: tuple[str, ...]
    texts: tuple[str | None, ...]
    first_row: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, rows: slice) -> AudioBatch:
        """Some rows."""
        first = self.first_row + rows.start
        return AudioBatch(self.padded[rows], self.target[rows], self.ids[rows], self.texts[rows], first)


@dataclass(frozen=True)
class Tools:
    """What a step uses and does not change: the reconstruction losses, the frozen LLM and the frozen teacher, the pitch
    of what is to be heard, the other processes."""

    losses: ReconstructionLosses
    world: World
    lm: FrozenLM | None = None
    teacher: TeacherLoss | None = None
    pitch: PitchLoss | None = None


@dataclass(frozen=True)
class Shares:
    """What a piece's losses count in the step: as means over its rows, and as means over its texts."""

    piece: float
    texts: float
    n_texts: int = 0


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
    batch = replace(batch, padded=noisy, texts=_heard_texts(batch, world, config))
    sums: dict[str, Tensor] = {}
    parts = list(_pieces(batch, world, config.accumulation))
    texts = sum(text is not None for text in batch.texts)
    codes: list[Tensor] = []
    for part in parts:
        shares = Shares(1 / len(parts), _text_share(part, parts, world, texts), texts)
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


def autocast(config: TrainConfig, device: torch.device, adversary: bool = False) -> torch.autocast:
    """bfloat16 for products where the config asks for it, in the discriminators or in the rest."""
    exact = config.precision == "float32" or (adversary and config.adversary.precision == "float32")
    return torch.autocast(device.type, torch.bfloat16, enabled=not exact)


def _pieces(batch: AudioBatch, world: World, accumulation: int) -> Iterator[AudioBatch]:
    """This process's rows of the batch, in as many pieces as gradients are accumulated over."""
    mine = batch.part(world.rows(len(batch)))
    size = len(mine) // accumulation
    for start in range(0, len(mine), size):
        yield mine.part(slice(start, start + size))


def _heard_texts(batch: AudioBatch, world: World, config: TrainConfig) -> tuple[str | None, ...]:
    """The texts of those clips that the LLM reads, the first of each piece; None for the others."""
    size = len(batch) // (world.size * config.accumulation)
    heard = config.language.heard(size)
    return tuple(text if row % size < heard else None for row, text in enumerate(batch.texts))


def _text_share(part: AudioBatch, parts: list[AudioBatch], world: World, texts: int) -> float:
    """What a mean over this piece's texts has to count so that the mean over all pieces is that over all texts."""
    here = sum(text is not None for text in part.texts)
    return here * len(parts) * world.size / texts if texts else 0.0


def _backward(
    state: TrainState, tools: Tools, part: AudioBatch, weights: Mapping[str, float], shares: Shares
) -> tuple[dict[str, Tensor], Quantized]:
    """Add a piece's share of the gradients to what trains; returns its losses by name, and its codes."""
    config, device = state.config, part.target.device
    with autocast(config, device), torch.set_grad_enabled(state.codec_learns):
        decoded, quantized = state.model.reconstruct(part.padded)
    estimate = decoded.samples
    # Equal in all pieces and processes, so that their mean is still that of one batch.
    scales = tools.losses.drawn(config.scales_share, generator_of(config.seed, state.step, 5))
    values = tools.losses(part.target, estimate, scales)
    if tools.teacher is not None and weights.get("teacher", 0.0) > 0:
        with autocast(config, device):
            values["teacher"] = tools.teacher(part.target, estimate)
    if tools.pitch is not None and decoded.pitch_logits is not None and weights.get("pitch", 0.0) > 0:
        values["pitch"] = tools.pitch(part.target, decoded.pitch_logits)
    values["commitment"], values["codebook"] = quantized.commitment_loss, quantized.codebook_loss
    judges = state.others.get("discriminators")
    if judges is not None and state.step >= config.discriminators_begin:
        values |= _judged(state, part.target, estimate, weights, shares.piece)
    level = state.model.tokenizer.vq.levels[0]
    language = state.others.get("language")
    if language is not None and tools.lm is not None and any(weights.get(name, 0.0) > 0 for name in LANGUAGE):
        asked = Asked(quantized, part.texts, state.step)
        # On the device itself: noise for every code of every frame is too much to move there.
        drawn = generator_of(config.seed, state.step, 4, part.first_row, device)
        with autocast(config, device):
            found = language.module(tools.lm, level, asked, weights, drawn)
        for name in ("alignment", "contrast"):
            if name in found:
                found[name] = found[name] * shares.texts
        values |= found | {"texts_watched": torch.tensor(float(shares.n_texts), device=device)}
    prior = state.others.get("prior")
    if prior is not None and weights.get("prior", 0.0) > 0:
        expected = prior.module(quantized, level)
        values |= {"prior": expected.loss, "prior_bits": expected.nll_bits}
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


def _judged(
    state: TrainState, target: Tensor, estimate: Tensor, weights: Mapping[str, float], share: float
) -> dict[str, Tensor]:
    """The discriminators' turn, and the codec's adversarial losses once they count.

    The discriminators' own gradients are added here; from the codec's losses they take none.
    """
    config, judges = state.config, state.others["discriminators"].module
    assert isinstance(judges, Discriminators)
    start, length = _adversarial_crop(state, target)
    real, fake = target[:, start : start + length], estimate[:, start : start + length]
    counts = any(weights.get(name, 0.0) > 0 for name in ADVERSARIAL)
    adversary = config.adversary
    with autocast(config, real.device, adversary=True):
        wanted, got = judges(real), judges(fake if counts else fake.detach())
    own = discriminator_loss(wanted, got, adversary.loss, adversary.reduction)
    values = {"discriminator": own}
    lazy = lazy_weight(state.step, adversary.r1_every, adversary.r1_lazy)
    if lazy:
        values["r1"] = r1_penalty(judges, real, adversary.r1_gamma, adversary.reduction)
        own = own + lazy * values["r1"]
    # Both turns judge with the same weights, which change at the end of the step: once is enough.
    (own * share).backward(inputs=list(judges.parameters()), retain_graph=counts)
    if counts:
        values["adversarial"] = adversarial_loss(got, adversary.loss, adversary.reduction)
        values["feature_matching"] = feature_matching_loss(wanted, got, adversary.reduction, adversary.feature_error)
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
    semantic = [] if tokenizer.semantic is None else tokenizer.semantic.out.parameters()
    parts: dict[str, list[nn.Parameter]] = {
        "encoder": [*tokenizer.stft_head.parameters(), *semantic, *tokenizer.conformer.parameters()],
        "quantizer": list(tokenizer.vq.parameters()),
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
