"""What is compared: codecs behind one small interface.

A new kind is a file here, a form in codec_specs.py and a line in `load`; a codec of one's own is no new kind, see
included_codec.py. Names are parsed without loading anything, so that
a run with a mistyped one does not start.
"""

from __future__ import annotations

import os
from pathlib import Path

from eval.harness.model_specs import LoadError, ReconstructionError, UnknownSpecError
from eval.reconstruction.codecs.bounds import Identity, Resampled
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded, MeasuredCodec
from eval.reconstruction.codecs.codec_specs import FORMS, CodecSpec, KnownModel, check, known_names, parse
from eval.reconstruction.codecs.registered import Registered

__all__ = [
    "FORMS",
    "CodecInfo",
    "CodecSpec",
    "Coded",
    "Identity",
    "KnownModel",
    "LoadError",
    "MeasuredCodec",
    "ReconstructionError",
    "Registered",
    "Resampled",
    "UnknownSpecError",
    "check",
    "known_names",
    "load",
    "parse",
]


def load(
    spec: str | CodecSpec, *, checkpoint: str | os.PathLike[str] | None = None, device: str = "cpu"
) -> MeasuredCodec:
    """The codec that `[LABEL=]SPEC` means (see `parse`), on a device where it is a model of ours or of transformers.

    `checkpoint` puts other weights in the place of a registered codec's: a folder, a file or a hub id. Raises
    UnknownSpecError for what means no codec, ValueError for a checkpoint given to what takes none, and LoadError
    where something that the codec needs is missing here.
    """
    codec_spec = spec if isinstance(spec, CodecSpec) else parse(spec)
    if checkpoint is not None and not codec_spec.takes_checkpoint:
        raise ValueError(f"{codec_spec.text!r} takes no checkpoint; only names of soundcodec_llmcodec's codecs do")
    return _load(codec_spec, checkpoint, device)


def _load(spec: CodecSpec, checkpoint: str | os.PathLike[str] | None, device: str) -> MeasuredCodec:
    from eval.reconstruction.codecs import codec2, hf, included_codec, opus, recon, registered, superb

    if spec.kind == "llmcodec":
        levels = spec.options.get("levels")
        return registered.load(
            spec.target,
            spec.label,
            spec.path or checkpoint,
            device,
            spec.options.get("optimize"),
            None if levels is None else int(levels),
        )
    if spec.included is not None:
        return included_codec.load(spec.included, spec.label)
    if spec.kind == "superb":
        return superb.load(spec.target, spec.label)
    if spec.kind == "hf":
        return hf.load(spec.target, spec.options, spec.label, device)
    if spec.kind == "recon":
        kbps = spec.options.get("kbps")
        stated = None if kbps is None else 1000 * float(kbps)
        return recon.Reconstructions(Path(spec.target).expanduser(), spec.label, stated)
    if spec.target == "opus":
        return opus.Opus(int(spec.value or 0), spec.label)
    if spec.target == "codec2":
        return codec2.Codec2(str(spec.value), spec.label)
    return Resampled(int(spec.value or 0), spec.label) if spec.target == "resample" else Identity(spec.label)
