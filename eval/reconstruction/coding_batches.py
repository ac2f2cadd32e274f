"""One batch through one codec: times, and a reconstruction or a reason for every clip."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.harness.clips import CorpusClip
from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from eval.reconstruction.codecs import MeasuredCodec, ReconstructionError


@dataclass(frozen=True)
class Reconstruction:
    """A clip as the codec gives it back: samples float32 (S,) of the clip's rate and length, codes int64 (Q, F)."""

    samples: np.ndarray
    codes: np.ndarray | None
    n_bits: int | None


@dataclass(frozen=True)
class BatchOutcome:
    """A Reconstruction or the reason of its failure for each clip; seconds of the successful ones' encoding and
    decoding."""

    outcomes: list[Reconstruction | str]
    encode_s: float
    decode_s: float


def reconstruct_each(model: MeasuredCodec, clips: Sequence[CorpusClip]) -> BatchOutcome:
    """Encode and decode a batch; where it fails as a whole, clip by clip, so that one bad clip costs only itself."""
    try:
        return _reconstruct(model, clips)
    except FOREIGN_ERRORS as error:
        if len(clips) == 1:
            return BatchOutcome([described(error)], 0.0, 0.0)
    singles = [reconstruct_each(model, [clip]) for clip in clips]
    return BatchOutcome(
        [single.outcomes[0] for single in singles],
        math.fsum(single.encode_s for single in singles),
        math.fsum(single.decode_s for single in singles),
    )


def _reconstruct(model: MeasuredCodec, clips: Sequence[CorpusClip]) -> BatchOutcome:
    start = time.perf_counter()
    coded = model.encode(clips)
    _wait_for(model.info.device)
    middle = time.perf_counter()
    if len(coded) != len(clips):
        raise ReconstructionError(f"the codec made {len(coded)} of {len(clips)} clips")
    decoded = model.decode(coded, clips)
    _wait_for(model.info.device)
    end = time.perf_counter()
    if len(decoded) != len(clips):
        raise ReconstructionError(f"the codec gave {len(decoded)} of {len(clips)} clips back")
    outcomes: list[Reconstruction | str] = [
        Reconstruction(_checked(samples, clip), item.codes, item.n_bits)
        for samples, item, clip in zip(decoded, coded, clips, strict=True)
    ]
    timed = model.info.timed
    return BatchOutcome(outcomes, middle - start if timed else 0.0, end - middle if timed else 0.0)


def _checked(samples: np.ndarray, clip: CorpusClip) -> np.ndarray:
    samples = np.asarray(samples, dtype=np.float32)
    if samples.shape != clip.samples.shape:
        raise ReconstructionError(f"{clip.clip_id!r}: expected samples {clip.samples.shape}, got {samples.shape}")
    return samples


def _wait_for(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
