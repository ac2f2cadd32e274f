"""What is compared: codecs behind one small interface. A new kind is a class here and a line in BUILTIN."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from eval.corpora import Clip

RESAMPLED_RATE = 16_000


class ReconstructionError(RuntimeError):
    """A codec that could not reconstruct a clip, or gave back something that is no reconstruction of it."""


@dataclass(frozen=True)
class CodecInfo:
    """What identifies a codec and follows from its configuration; None where it has no such thing."""

    name: str
    checkpoint: str
    checkpoint_hash: str | None
    sample_rate: int | None
    bitrate_bps: float | None
    token_rate: float | None
    codebook_size: int | None
    num_quantizers: int | None
    parameters: int | None
    device: str


@dataclass(frozen=True)
class Reconstruction:
    """A clip as the codec gives it back: samples float32 (S,) of the clip's rate and length, codes int64 (Q, F)."""

    samples: np.ndarray
    codes: np.ndarray | None


class CodecModel(Protocol):
    """A codec as the harness uses it."""

    info: CodecInfo

    def reconstruct(self, clips: Sequence[Clip]) -> list[Reconstruction]:
        """Encode and decode a batch of clips of any lengths and rates. Raises ValueError or RuntimeError."""
        ...


class Identity:
    """The clip itself: the upper bound of every metric."""

    info = CodecInfo("identity", "-", None, None, None, None, None, None, 0, "cpu")

    def reconstruct(self, clips: Sequence[Clip]) -> list[Reconstruction]:
        return [Reconstruction(clip.samples.copy(), None) for clip in clips]


class Resampled:
    """The clip at 16 kHz and back: the upper bound of a codec that works at 16 kHz."""

    info = CodecInfo("resample_16k", "-", None, RESAMPLED_RATE, None, None, None, None, 0, "cpu")

    def reconstruct(self, clips: Sequence[Clip]) -> list[Reconstruction]:
        from soundcodec_llmcodec.audio import fit_length, resample

        back = []
        for clip in clips:
            narrow = resample(clip.samples, clip.rate, RESAMPLED_RATE)
            samples = fit_length(resample(narrow, RESAMPLED_RATE, clip.rate), len(clip.samples))
            back.append(Reconstruction(np.asarray(samples, dtype=np.float32), None))
        return back


class Registered:
    """A codec of soundcodec_llmcodec's registry, by the methods that Codec-SUPERB calls."""

    def __init__(self, codec: Any, name: str) -> None:
        self._codec = codec
        config = codec.codec.config
        self.info = CodecInfo(
            name=name,
            checkpoint=codec.codec.name,
            checkpoint_hash=codec.codec.weights_hash,
            sample_rate=config.sample_rate,
            bitrate_bps=config.bitrate_bps,
            token_rate=config.token_rate,
            codebook_size=config.codebook_size,
            num_quantizers=config.num_quantizers,
            parameters=sum(parameter.numel() for parameter in codec.codec.model.parameters()),
            device=str(codec.codec.device),
        )

    def reconstruct(self, clips: Sequence[Clip]) -> list[Reconstruction]:
        # Ids keep their pairing through the codec; the split makes them unique in the run.
        items = [
            {"id": f"{clip.split}/{clip.clip_id}", "audio": {"array": clip.samples, "sampling_rate": clip.rate}}
            for clip in clips
        ]
        results = self._codec.batch_synth(items, local_save=False)
        by_id = {result["id"]: result for result in results}
        return [_checked(by_id.get(item["id"]), clip) for item, clip in zip(items, clips, strict=True)]


def _checked(result: Any, clip: Clip) -> Reconstruction:
    if result is None:
        raise ReconstructionError(f"the codec gave nothing back for {clip.clip_id!r}")
    samples, rate = np.asarray(result["audio"]["array"], dtype=np.float32), result["audio"]["sampling_rate"]
    if rate != clip.rate or samples.shape != clip.samples.shape:
        found = f"{samples.shape} at {rate} Hz"
        raise ReconstructionError(
            f"{clip.clip_id!r}: expected samples {clip.samples.shape} at {clip.rate} Hz, got {found}"
        )
    codes = np.asarray(result["unit"], dtype=np.int64)
    return Reconstruction(samples, codes.reshape(-1, codes.shape[-1]))


BUILTIN: dict[str, Callable[[], CodecModel]] = {"identity": Identity, "resample_16k": Resampled}


def load(name: str, checkpoint: str | None = None, device: str = "cpu") -> CodecModel:
    """The codec of this name. Raises ValueError for an unknown name, or a checkpoint given to what has none."""
    if name in BUILTIN:
        return BUILTIN[name]()
    from soundcodec_llmcodec.codec import list_codec, load_codec

    known = [*BUILTIN, *list_codec()]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"no codec is called {name!r}{hint} The codecs are: {', '.join(known)}")
    return Registered(load_codec(name, checkpoint=checkpoint, device=device), name)


@dataclass(frozen=True)
class Timed:
    """A batch's outcome: a Reconstruction or the reason of its failure for each clip, and the seconds that the
    successful ones took."""

    outcomes: list[Reconstruction | str]
    wall_s: float


def reconstruct_each(model: CodecModel, clips: Sequence[Clip]) -> Timed:
    """Reconstruct a batch; where it fails as a whole, clip by clip, so that one bad clip costs only itself."""
    start = time.perf_counter()
    try:
        outcomes: list[Reconstruction | str] = list(model.reconstruct(clips))
    except (ValueError, RuntimeError) as error:
        if len(clips) == 1:
            return Timed([_described(error)], 0.0)
        singles = [reconstruct_each(model, [clip]) for clip in clips]
        return Timed([single.outcomes[0] for single in singles], math.fsum(single.wall_s for single in singles))
    return Timed(outcomes, time.perf_counter() - start)


def _described(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
