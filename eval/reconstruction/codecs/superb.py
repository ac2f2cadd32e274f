"""Codecs of an installed Codec-SUPERB (its package SoundCodec)."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from eval.harness.clips import CorpusClip
from eval.harness.foreign_errors import FOREIGN_ERRORS
from eval.harness.model_specs import LoadError, ReconstructionError, UnknownSpecError
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.shaping import to_clip, to_rate
from soundcodec_llmcodec.nearest import nearest

PACKAGE = "SoundCodec.codec"


class Superb:
    """A codec of SoundCodec, through `extract_unit` and `decode_unit`.

    Not through `synth`, which changes the item that it is given and, in `batch_synth`, neither resamples nor keeps the
    rate: clips are resampled here, to the codec's rate and back, and each is coded by itself, in an item of its own.
    SoundCodec declares neither bit rates nor codebook sizes, and says nothing that identifies weights: `bitrate_bps`
    and `identity` are None. It picks the device by itself; `info.device` is the one that it took.
    """

    def __init__(self, codec: Any, name: str, label: str) -> None:
        rate = getattr(codec, "sampling_rate", None)
        if not rate:
            raise LoadError(f"SoundCodec's {name} declares no sampling_rate, so nothing can be fed to it")
        self._codec, self._name, self._rate = codec, name, int(rate)
        self.info = CodecInfo(
            name=label,
            kind="superb",
            checkpoint=f"SoundCodec {_version()} {name}",
            sample_rate=self._rate,
            device=str(getattr(codec, "device", "unknown")),
        )

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return [self._encode(clip) for clip in clips]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        return [self._decode(item, clip) for item, clip in zip(coded, clips, strict=True)]

    def _encode(self, clip: CorpusClip) -> Coded:
        # A copy: a clip is not to be written to, and upstream's codecs do.
        audio = {"array": np.array(to_rate(clip, self._rate)), "sampling_rate": self._rate}
        with self._failing("extract_unit"):
            extracted = self._codec.extract_unit({"id": clip.clip_id, "audio": audio})
            return Coded(extracted.stuff_for_synth, _codes(extracted.unit))

    def _decode(self, item: Coded, clip: CorpusClip) -> np.ndarray:
        with self._failing("decode_unit"):
            samples = _array(self._codec.decode_unit(item.payload))
        # (1, 1, S) and the like; what has several channels is left to be refused.
        return to_clip(np.atleast_1d(samples.squeeze()).astype(np.float32), self._rate, clip)

    @contextlib.contextmanager
    def _failing(self, method: str) -> Iterator[None]:
        try:
            yield
        except FOREIGN_ERRORS as error:
            why = f"{type(error).__name__}: {error}"
            raise ReconstructionError(f"{method} of SoundCodec's {self._name} failed: {why}") from error


def load(name: str, label: str) -> Superb:
    """SoundCodec's own codec of that name. Raises LoadError, or UnknownSpecError for a name it does not have."""
    with upstream() as package:
        if package is None:
            raise LoadError(
                f"superb:{name} needs Codec-SUPERB's package SoundCodec: install it (pip install -e . in its "
                "checkout), or put its checkout on PYTHONPATH"
            )
        names = package.list_codec()
        if name not in names:
            raise UnknownSpecError(unknown(name, names))
        try:
            decodes = package.codec_supports_decode(name)
            codec = package.load_codec(name) if decodes else None
        except Exception as error:
            # Upstream raises a bare Exception for most packages that are missing; nothing narrower says so.
            why = f"{type(error).__name__}: {error}"
            raise LoadError(f"SoundCodec's {name} cannot be loaded: {why}") from error
    if codec is None:
        raise LoadError(f"SoundCodec's {name} only encodes: there is nothing to reconstruct clips with")
    return Superb(codec, name, label)


def names() -> tuple[str, ...]:
    """The names of SoundCodec's own codecs, sorted; none where it is not installed."""
    with upstream() as package:
        return () if package is None else tuple(package.list_codec())


def unknown(name: str, names: Sequence[str]) -> str:
    """What to say of a name that SoundCodec does not have."""
    near = nearest(name, names)
    hint = f"; did you mean 'superb:{near}'?" if near else "."
    return f"SoundCodec has no codec {name!r}{hint} It has: {', '.join(names)}"


@contextlib.contextmanager
def upstream() -> Iterator[ModuleType | None]:
    """SoundCodec's registry as it ships, with our own codecs taken out of it meanwhile; None where it is not installed.

    soundcodec_llmcodec's `register` may have put ours in the place of upstream's codecs of the same name.
    """
    from soundcodec_llmcodec.superb import register, unregister

    try:
        package = importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        if error.name not in ("SoundCodec", PACKAGE):
            raise LoadError(f"SoundCodec is here but cannot be imported: {error}") from error
        yield None
        return
    registration = unregister()
    try:
        yield package
    finally:
        if registration is not None:
            register()


def _version() -> str:
    try:
        return importlib.metadata.version("SoundCodec")
    except importlib.metadata.PackageNotFoundError:
        return "(a checkout)"


def _array(values: Any) -> np.ndarray:
    """A tensor, on any device, or an array as an array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _codes(unit: Any) -> np.ndarray | None:
    """A unit as int64 (Q, F): upstream's are (F,), (Q, F) or (1, Q, F). None for what holds no ids."""
    codes = _array(unit)
    while codes.ndim > 2 and codes.shape[0] == 1:
        codes = codes[0]
    if codes.ndim not in (1, 2) or codes.dtype.kind not in "iu":
        return None
    return codes.astype(np.int64).reshape(-1, codes.shape[-1])
