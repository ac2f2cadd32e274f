"""One training step: the codec's losses, and the discriminators' turn when they have joined."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train.config import TrainConfig
from soundcodec_llmcodec.train.discriminators import adversarial_loss, discriminator_loss, feature_matching_loss
from soundcodec_llmcodec.train.losses import (
    LoudnessLoss,
    MultiResolutionSTFTLoss,
    MultiScaleMelLoss,
    PhaseLoss,
    spectra,
)
from soundcodec_llmcodec.train.state import TrainState


class ReconstructionLosses(nn.Module):
    """Mel, loudness, STFT and phase losses on shared spectra."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.mel = MultiScaleMelLoss(sample_rate)
        self.loudness = LoudnessLoss(sample_rate)
        self.stft = MultiResolutionSTFTLoss()
        self.phase = PhaseLoss()
        self.windows = tuple(sorted({window for part in self.children() for window in part.windows}))

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
    if config.adversarial_start is not None and state.step >= config.adversarial_start:
        start, length = _adversarial_crop(state, target)
        real, fake = target[:, start : start + length], estimate[:, start : start + length]
        parts["discriminator"] = _discriminator_step(state, real, fake.detach())
        judge(state, False)
        with autocast(config, device):
            with torch.no_grad():
                wanted = state.discriminators(real)
            got = state.discriminators(fake)
        judge(state, True)
        parts["adversarial"] = adversarial_loss(got)
        parts["feature_matching"] = feature_matching_loss(wanted, got)
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


def judge(state: TrainState, trainable: bool) -> None:
    """Let the discriminators take gradients, or spare them in the codec's turn."""
    state.discriminators.requires_grad_(trainable)


def _adversarial_crop(state: TrainState, target: Tensor) -> tuple[int, int]:
    """(start, length): a stretch of the batch that follows from the step alone."""
    length = min(target.shape[1], int(state.config.adversarial_segment_s * state.config.codec_config.sample_rate))
    generator = torch.Generator().manual_seed(state.config.seed * 1_000_003 + state.step)
    return int(torch.randint(0, target.shape[1] - length + 1, (1,), generator=generator)), length


def _discriminator_step(state: TrainState, real: Tensor, fake: Tensor) -> Tensor:
    config = state.config
    for group in state.discriminator_optimizer.param_groups:
        group["lr"] = learning_rate_at(state.step, config, config.discriminator_learning_rate)
    with autocast(config, real.device):
        both = state.discriminators(torch.cat((real, fake)))
    halves = [[f.chunk(2) for f in features] for features in both]
    loss = discriminator_loss([[h[0] for h in part] for part in halves], [[h[1] for h in part] for part in halves])
    state.discriminator_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.discriminators.parameters(), config.gradient_clip)
    state.discriminator_optimizer.step()
    return loss
