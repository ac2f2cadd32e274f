"""What bounded blocks change of the frozen speech encoder's states: mean squared difference to those of the whole clip.

python benchmarks/speech_blocks.py --data FOLDER:validation --clips 60

States have a variance of 1 in each frame; the last row is what states of other frames of the clip differ by.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.nn.model import framed_samples
from soundcodec_llmcodec.nn.whisper_encoder import WhisperEncoder
from soundcodec_llmcodec.teachers import load_teacher
from soundcodec_llmcodec.train.crops import open_corpus

CODEC = CodecConfig.preset("compact")
LONGEST_FRAMES = 1_400  # Whisper's own positions end at 1,500
BLOCKS = ((32, 32), (64, 32), (96, 0), (96, 16), (96, 32), (96, 64), (192, 32))
WHOLE = SemanticConfig(layers=(2, 4), block_frames=LONGEST_FRAMES, context_frames=0)


def encoder_of(config: SemanticConfig) -> WhisperEncoder:
    """The speech encoder with its teacher's weights."""
    encoder = WhisperEncoder(config, CODEC)
    load_teacher(encoder)
    return encoder.eval().requires_grad_(False)


def variants() -> Iterator[tuple[str, WhisperEncoder]]:
    """Blocks with context, and the whole clip without positions."""
    for size, context in BLOCKS:
        config = dataclasses.replace(WHOLE, block_frames=size, context_frames=context)
        yield f"blocks of {size} with {context} on either side", encoder_of(config)
    still = encoder_of(WHOLE)
    still.positions.zero_()
    yield "whole clip without positions", still


@torch.no_grad()
def main() -> None:
    """Print a row for each variant: the difference at layers 2 and 4."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--clips", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        corpus = open_corpus(arguments.data, CODEC.sample_rate, Path(cache))
        chosen = torch.linspace(0, len(corpus.ids) - 1, min(arguments.clips, len(corpus.ids))).round().int().tolist()
        clips = [corpus.clip(index)[: LONGEST_FRAMES * CODEC.hop_length] for index in chosen]
    whole = encoder_of(WHOLE)
    padded = [framed_samples(clip, CODEC)[None] for clip in clips]
    wanted = [whole(samples, exact=True)[0].unflatten(1, (2, -1)) for samples in padded]
    generator = torch.Generator().manual_seed(0)
    others = [states[torch.randperm(len(states), generator=generator)] for states in wanted]
    for name, encoder in variants():
        show(name, wanted, [encoder(samples, exact=True)[0].unflatten(1, (2, -1)) for samples in padded])
    show("states of other frames", wanted, others)


def show(name: str, wanted: list[Tensor], found: list[Tensor]) -> None:
    """Print the mean squared difference of states (F, 2, W) over all frames of all clips, by layer."""
    second, fourth = (torch.cat(wanted) - torch.cat(found)).square().mean(dim=(0, 2)).tolist()
    print(f"{name}: layer 2 {second:.3f}, layer 4 {fourth:.3f} ({len(wanted)} clips)", flush=True)


if __name__ == "__main__":
    main()
