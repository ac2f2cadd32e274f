"""What a codec is to the harness: tokens of clips, clips of tokens, and what identifies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from eval.harness.clips import CorpusClip


@dataclass(frozen=True)
class CodecInfo:
    """What identifies a codec and follows from its configuration; None where it has no such thing.

    `identity` is a string that changes whenever the audio may: weights, settings, program and version. None means that
    nothing tells, and results are then never taken from a cache. `checkpoint` is where the weights
    are from, for people.
    `timed` is False where nothing is coded (audio that was made before), so that times would say nothing; `in_process`
    is False where other programs do the coding, so that this process's memory would say nothing.
    `teachers` are the frozen speech encoders that taught it, as far as is known: no judges of it.
    `bitrate_bps` is None where it depends on the audio; it is then counted in the run (`Coded.n_bits`).
    """

    name: str
    kind: str
    checkpoint: str = "-"
    checkpoint_hash: str | None = None
    identity: str | None = None
    sample_rate: int | None = None
    bitrate_bps: float | None = None
    token_rate: float | None = None
    codebook_size: int | None = None
    num_quantizers: int | None = None
    parameters: int | None = None
    device: str = "cpu"
    timed: bool = True
    in_process: bool = True
    teachers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Coded:
    """One clip as the codec stores it: what its decoder takes, codes int64 (Q, F) where it has any, and its size.

    `n_bits` is the stored size in bits, container left out, where it is not codes times log2(codebook size).
    """

    payload: Any
    codes: np.ndarray | None = None
    n_bits: int | None = None


class MeasuredCodec(Protocol):
    """A codec as the harness uses it. Both calls keep the order, take clips of any lengths and rates, and raise
    ValueError or RuntimeError where they fail; neither changes a clip."""

    info: CodecInfo

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        """The clips as the codec stores them."""
        ...

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        """Samples float32 (S,) of each clip's own rate and exact length.

        Of the clips only id, source, rate and length are read.
        """
        ...
