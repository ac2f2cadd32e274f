"""How well held-out tokens are predicted, token by token, by the network that trains.

Letters: N tokens of a clip.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from soundcodec_llmcodec.lm.training.network import Network
from soundcodec_llmcodec.lm.training.packing import clip_positions, collate, packed
from soundcodec_llmcodec.lm.training.token_clips import Clips
from soundcodec_llmcodec.runs.distributed import World

# Positions at a time; whole clips, so that nothing depends on how long the rows of training are.
BATCH_POSITIONS = 4096
ROW_POSITIONS = 512


@dataclass(frozen=True)
class LMValidation:
    """Bits a token over the audio vocabulary (`bits`) and over all that the model knows (`full_bits`).

    `tokens` of `clips` clips were scored: all of them, or without a token that begins, all but each clip's first.
    """

    bits: float
    full_bits: float
    perplexity: float
    bits_per_second: float
    tokens: int
    clips: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def validate(network: Network, clips: Clips, world: World | None = None) -> LMValidation:
    """Held-out bits a token, in float32 and without dropout; each process takes its share of the clips."""
    world = world or World(device=next(network.parameters()).device)
    lengths = clip_positions(network.layout, clips)
    width = max(int(lengths.max()), ROW_POSITIONS)
    rows = packed(lengths, width, None)
    # Rows of about one length together.
    rows = sorted(rows, key=lambda row: -sum(map(len, row)))[world.rank :: world.size]
    training = network.training
    network.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=world.device)
    per_batch = max(1, BATCH_POSITIONS // width)
    for start in range(0, len(rows), per_batch):
        batch = collate(rows[start : start + per_batch], clips, network.layout).to(world.device)
        audio, full = network.nll(batch)
        sums += torch.stack((audio.double().sum(), full.double().sum(), sums.new_tensor(float(len(audio)))))
    network.train(training)
    audio_nats, full_nats, count = world.total(sums).tolist()
    bits = audio_nats / count / math.log(2)
    rate = clips.source.token_rate
    return LMValidation(bits, full_nats / count / math.log(2), 2**bits, bits * rate, int(count), len(clips))
