"""Whether exported graphs give what the codec gives: tokens equal, audio within 1e-4, alone and in a batch.

Two right programs round otherwise, and the codec's tokens hang on rounding in a few frames (3 of 46,270 of speech, by
the bundled codec): where a code leads the next by less than `coding.TIE_MARGIN` (in cosine), or where a bin's phase
lies at the jump from pi to -pi. Such frames are known by the codec alone: its own tokens change when the samples move
by MOVE. Differences there are counted, every other one is an error.

Letters: Q codebook levels, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec.coding import TIE_MARGIN, exact_inference
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.export.export_folder import ExportError
from soundcodec_llmcodec.export.runners import Runner, padded
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import framed_samples

AUDIO_TOLERANCE = 1e-4
# Of the largest sample: float32's own rounding of it. It finds 2% of speech's frames, none of `check`'s seeded clips.
MOVE = 2.0**-24
_MOVES = 12


@dataclass(frozen=True)
class Agreement:
    """What a check found: tokens compared, undecided frames that fell otherwise, the largest difference of a sample."""

    lengths: tuple[int, ...]
    tokens: int
    near_ties: int
    largest_difference: float


def check_lengths(config: CodecConfig) -> tuple[int, ...]:
    """Five lengths in samples: one, just under a frame, whole frames, within blocks, and over several blocks."""
    hop, window = config.hop_length, config.attention_window or 16
    return 1, hop - 1, 7 * hop, (2 * window + 1) * hop + hop // 2, (5 * window + 2) * hop + 1


def seeded_clip(n: int, seed: int) -> Tensor:
    """(n,) float32: gliding harmonics with noise, swelling and fading, as loud as speech."""
    draw = np.random.default_rng(seed)
    time = np.arange(n)
    phase = np.cumsum(0.05 + 0.02 * np.sin(time / 3000 + seed))
    tone = sum(np.sin(k * phase + draw.uniform(0, 6)) / k for k in range(1, 6))
    swell = 0.6 + 0.4 * np.sin(time / 1700)
    return torch.from_numpy((0.1 * swell * tone + 0.03 * draw.standard_normal(n)).astype(np.float32))


def check(codec: LLMCodec, runner: Runner) -> Agreement:
    """Compare a runner with the codec on seeded clips of five lengths, one by one and in one batch.

    Raises ExportError where they differ.
    """
    config = codec.config
    lengths = check_lengths(config)
    clips = [seeded_clip(n, seed) for seed, n in enumerate(lengths)]
    references = [codec.encode_samples(clip) for clip in clips]
    audio = [codec.decode_codes(codes).numpy() for codes in references]
    groups = [[index] for index in range(len(clips))] + [list(range(len(clips)))]
    tokens = near_ties = 0
    worst = 0.0
    for group in groups:
        where = f"a clip of {lengths[group[0]]} samples" if len(group) == 1 else f"a batch of {len(group)} clips"
        samples, sizes = padded([clips[index].numpy() for index in group])
        exported_codes = runner.encode(samples, sizes, np.array(config.partition(None), dtype=np.int64))
        batch, frames = padded([references[index].numpy() for index in group])
        if not np.array_equal(exported_codes.frames, frames) or exported_codes.codes.shape != batch.shape:
            raise ExportError(f"the exported encoder has other frames than the codec on {where}; report this as a bug")
        decoded = runner.decode(batch, frames)
        for row, index in enumerate(group):
            codes = references[index]
            ties, wrong = differences(
                codec, clips[index], torch.from_numpy(exported_codes.codes[row, :, : codes.shape[1]])
            )
            if wrong:
                raise ExportError(
                    f"the exported encoder has {wrong} of {codes.shape[1]} frames otherwise than the codec on {where}, "
                    f"near-ties left out; nothing was written. Try another version of torch, or report this as a bug"
                )
            expected = np.zeros(batch.shape[2] * config.hop_length, dtype=np.float32)
            expected[: len(audio[index])] = audio[index]
            worst = max(worst, float(np.abs(decoded[row] - expected).max()))
            tokens, near_ties = tokens + codes.numel(), near_ties + ties
        # Not `worst > ...`: NaN must not pass.
        if not worst <= AUDIO_TOLERANCE:
            raise ExportError(
                f"the exported decoder's audio differs by {worst:.1e} from the codec's on {where}, more than "
                f"{AUDIO_TOLERANCE:g}; nothing was written. Try another version of torch, or report this as a bug"
            )
    return Agreement(lengths, tokens, near_ties, worst)


def differences(codec: LLMCodec, clip: Tensor, exported_codes: Tensor) -> tuple[int, int]:
    """Frames of codes (Q, F) found for a clip (S,) that the codec has otherwise: (undecided ones, all others)."""
    differ = (exported_codes != codec.encode_samples(clip)).any(dim=0)
    if not differ.any():
        return 0, 0
    undecided = undecided_frames(codec, clip)
    return int((differ & undecided).sum()), int((differ & ~undecided).sum())


def undecided_frames(codec: LLMCodec, clip: Tensor) -> Tensor:
    """(F,) bool: where rounding decides the codec's codes of a clip (S,)."""
    config = codec.config
    framed = framed_samples(clip, config)[None].to(codec.device)
    with exact_inference(codec.model):
        quantized = codec.model.tokenizer(framed, None, *config.partition(None), want_margins=True)
    codes = quantized.codes[0].cpu()
    undecided = torch.zeros(codes.shape[1], dtype=torch.bool)
    if quantized.margins is not None:
        undecided |= (quantized.margins[0].cpu() < TIE_MARGIN).any(dim=0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(_MOVES):
        # What the frames see is moved, its mirrored ends by themselves: a clip of less than a hop is symmetric, and
        # whether its phases are pi or -pi is for rounding to decide.
        noise = torch.randn(framed.shape, generator=generator).to(framed.device)
        with exact_inference(codec.model):
            moved = codec.model.encode(framed + MOVE * clip.abs().max() * noise)[0].cpu()
        undecided |= (moved != codes).any(dim=0)
    return undecided
