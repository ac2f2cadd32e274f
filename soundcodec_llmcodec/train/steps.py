"""One training step: the codec's losses, and the discriminators' turn when they have joined."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train.config import TrainConfig
from soundcodec_llmcodec.train.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from soundcodec_llmcodec.train.losses import (
    LoudnessLoss,
    MultiResolutionSTFTLoss,
    MultiScaleMelLoss,
    PhaseLoss,
    spectra,
)
from soundcodec_llmcodec.train.state import Adversary, TrainState


class ReconstructionLosses(nn.Module):
    """Mel, loudness, STFT and phase losses on shared spectra."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.mel = MultiScaleMelLoss(sample_rate)
        self.loudness = LoudnessLoss(sample_rate)
        self.stft = MultiResolutionSTFTLoss()
        self.phase = PhaseLoss()
        parts = (self.mel, self.loudness, self.stft, self.phase)
        self.windows = tuple(sorted({window for part in parts for window in part.windows}))

    def forward(self, target: Tensor, estimate: Tensor) -> dict[str, Tensor]:
        """Waves (B, S) to unweighted losses by name."""
        wanted, got = spectra(target, self.windows), spectra(estimate, self.windows)
        return {name: getattr(self, name)(wanted, got) for name in ("mel", "loudness", "stft", "phase")}


def learning_rate_at(step: int, config: TrainConfig, peak: float) -> float:
    """Linear warm-up, then a cosine down to the final rate (scaled to `peak`) at the last step."""
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    floor = peak * config.final_learning_rate / config.learning_rate
    return floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * min(1.0, done)))


def adversarial_share(step: int, config: TrainConfig) -> float:
    """0 before the discriminators join, rising to 1 over the ramp."""
    if config.adversarial_start is None or step < config.adversarial_start:
        return 0.0
    return min(1.0, (step - config.adversarial_start + 1) / max(1, config.adversarial_ramp))


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """bfloat16 for products where the config asks for it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")


def train_step(state: TrainState, losses: ReconstructionLosses, padded: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Update the codec (and the discriminators, once they have joined) on a batch.

    `padded` (B, (F - 1) * hop + n_fft) is what the encoder sees, `target` (B, F * hop) what the decoder should give.
    Returns each loss and gradient norm, detached.
    """
    config, device = state.config, target.device
    share = adversarial_share(state.step, config)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate_at(state.step, config, config.learning_rate)
    with autocast(config, device):
        estimate, quantized = state.model(padded)
    parts = losses(target, estimate)
    parts["commitment"], parts["codebook"] = quantized.commitment_loss, quantized.codebook_loss
    if state.adversary is not None and share > 0:
        start, length = _adversarial_crop(state, target)
        real, fake = target[:, start : start + length], estimate[:, start : start + length]
        parts["discriminator"] = _discriminator_step(state, state.adversary, real, fake.detach())
        parts |= _judged(config, state.adversary.discriminators, real, fake)
    total = sum(weight * parts[name] for name, weight in weights(config, share).items() if name in parts)
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()
    parts["gradient"] = nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
    state.optimizer.step()
    state.step += 1
    state.update_average()
    return {name: value.detach() for name, value in parts.items()} | {"total": total.detach()}


def weights(config: TrainConfig, share: float) -> dict[str, float]:
    """The weight of each generator loss when the adversarial part counts `share`."""
    return {
        "mel": config.mel_weight,
        "loudness": config.loudness_weight,
        "stft": config.stft_weight,
        "phase": config.phase_weight,
        "commitment": config.commitment_weight,
        "codebook": config.codebook_weight,
        "adversarial": share * config.adversarial_weight,
        "feature_matching": share * config.feature_matching_weight,
    }


def _judged(config: TrainConfig, discriminators: Discriminators, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """The codec's adversarial losses on waves (B, S); the discriminators take no gradients from them."""
    discriminators.requires_grad_(False)
    with autocast(config, real.device):
        with torch.no_grad():
            wanted = discriminators(real)
        got = discriminators(fake)
    discriminators.requires_grad_(True)
    return {"adversarial": adversarial_loss(got), "feature_matching": feature_matching_loss(wanted, got)}


def _adversarial_crop(state: TrainState, target: Tensor) -> tuple[int, int]:
    """(start, length): a stretch of the batch that follows from the step alone."""
    length = min(target.shape[1], int(state.config.adversarial_segment_s * state.config.codec_config.sample_rate))
    generator = torch.Generator().manual_seed(state.config.seed * 1_000_003 + state.step)
    return int(torch.randint(0, target.shape[1] - length + 1, (1,), generator=generator)), length


def _discriminator_step(state: TrainState, adversary: Adversary, real: Tensor, fake: Tensor) -> Tensor:
    """The discriminators' turn: update them on waves (B, S) and return their loss."""
    config, discriminators, optimizer = state.config, adversary.discriminators, adversary.optimizer
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(state.step, config, config.discriminator_learning_rate)
    with autocast(config, real.device):
        both = discriminators(torch.cat((real, fake)))
    halves = [[f.chunk(2) for f in features] for features in both]
    loss = discriminator_loss([[h[0] for h in part] for part in halves], [[h[1] for h in part] for part in halves])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(discriminators.parameters(), config.gradient_clip)
    optimizer.step()
    return loss
