"""Dead codes: how much each code is used, and hardly used ones put where latents are.

Letters: Q codebook levels, V codes, K codebook dimensions, N latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from soundcodec_llmcodec.measures.code_use import entropy_bits
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.quantizer import Quantized
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.setting import setting


@dataclass(frozen=True)
class RevivalConfig:
    """Codes that are hardly used take the place of latents."""

    every: int = setting(0, "steps from one revival to the next (0: never)")
    window: int = setting(200, "steps of the moving average of codes' shares")
    threshold: float = setting(0.02, "share of recent tokens, of an even share, below which a code is revived")
    most: int = setting(256, "codes revived at a time")


class CodeUsage(nn.Module):
    """Each code's share of the recent tokens: a moving average, float32 (Q, V), in the state dict with its step
    count."""

    shares: Tensor
    seen: Tensor

    def __init__(self, levels: int, codebook_size: int) -> None:
        super().__init__()
        self.register_buffer("shares", torch.zeros(levels, codebook_size))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, codes: Tensor, window: int, world: World) -> None:
        """Take in a step's codes (B, Q, F) of this process, those of all processes counting."""
        size = self.shares.shape[1]
        counts = torch.stack(
            [torch.bincount(codes[:, level].flatten(), minlength=size) for level in range(self.shares.shape[0])]
        ).float()
        counts = world.total(counts.to(self.shares.device))
        self.seen += 1
        # The plain mean until as many steps were seen as the window has: nothing is made up for those before.
        self.shares.lerp_(counts / counts.sum(dim=1, keepdim=True), 1.0 / min(window, int(self.seen)))

    def entropy_bits(self) -> float:
        """Entropy of the recent tokens in bits, the mean over levels."""
        # Revived codes were given a share that no token has, so that shares may add up to more than 1.
        return float(np.mean([entropy_bits(level) for level in self.shares.cpu().numpy()]))

    def in_use(self, threshold: float) -> Tensor:
        """How many codes have at least `threshold` of an even share, all levels together."""
        return (self.shares >= threshold / self.shares.shape[1]).sum()


@torch.no_grad()
def revive(
    model: CodecModel,
    usage: CodeUsage,
    quantized: Quantized,
    optimizer: torch.optim.Optimizer,
    config: RevivalConfig,
    generator: torch.Generator,
    world: World,
) -> int:
    """Put hardly used codes where latents of this batch are, and return how many. The optimizer forgets their past.

    Deterministic for a generator, and the same in every process: latents are those of all processes.
    """
    revived = 0
    for level, quantizer in enumerate(model.tokenizer.vq.levels):
        latents = world.gathered(quantized.latents[:, level].detach().reshape(-1, quantizer.codebook.shape[1]))
        least = config.threshold / usage.shares.shape[1]
        dead = (usage.shares[level] < least).nonzero().flatten()
        count = min(len(dead), len(latents) // 2, config.most)
        if count == 0:
            continue
        # The least used first; ties by place.
        dead = dead[torch.argsort(usage.shares[level][dead], stable=True)][:count]
        chosen = torch.randperm(len(latents), generator=generator)[:count].to(latents.device)
        weight = quantizer._codebook.weight
        weight[dead] = latents[chosen].to(weight.dtype)
        usage.shares[level, dead] = 1.0 / usage.shares.shape[1]
        for slot in optimizer.state.get(weight, {}).values():
            if isinstance(slot, Tensor) and slot.shape == weight.shape:
                slot[dead] = 0
        revived += count
    return revived
