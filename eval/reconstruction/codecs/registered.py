"""Codecs of soundcodec_llmcodec's registry, and checkpoints of one's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.harness import fingerprints
from eval.harness.clips import CorpusClip
from eval.harness.model_specs import LoadError
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded


class Registered:
    """A codec of soundcodec_llmcodec's registry, by the methods that Codec-SUPERB calls."""

    def __init__(self, codec: Any, label: str) -> None:
        from soundcodec_llmcodec.teachers import teachers_of

        self._codec = codec
        inner = codec.codec
        config = inner.config
        self.info = CodecInfo(
            name=label,
            kind="llmcodec",
            checkpoint=inner.name,
            checkpoint_hash=inner.weights_hash,
            identity=fingerprints.identity(
                f"weights {inner.weights_hash}",
                f"device {inner.device.type}",
                *([] if inner.optimize is None else [f"optimize {inner.optimize}"]),
                fingerprints.of_package(),
                of_adapter(__file__),
            ),
            sample_rate=config.sample_rate,
            bitrate_bps=config.bitrate_bps,
            token_rate=config.token_rate,
            codebook_size=config.codebook_size,
            num_quantizers=config.num_quantizers,
            parameters=sum(parameter.numel() for parameter in inner.model.parameters()),
            device=str(inner.device),
            teachers=teachers_of(config, inner.info),
        )

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        items = [{"audio": {"array": clip.samples, "sampling_rate": clip.rate}} for clip in clips]
        batch = self._codec.batch_extract_unit(items)
        units = [np.asarray(unit, dtype=np.int64) for unit in batch.units]
        rows = zip(batch.stuff_for_synth, units, strict=True)
        return [Coded(stuff, unit.reshape(-1, unit.shape[-1])) for stuff, unit in rows]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        # The tokens carry the clip's rate and length, so that LLMCodec gives both back, as `synth` does.
        decoded = self._codec.codec.decode_batch([item.payload for item in coded])
        return [np.asarray(samples, dtype=np.float32) for samples in decoded]


def load(
    name: str,
    label: str,
    checkpoint: str | os.PathLike[str] | None,
    device: str,
    optimize: str | None = None,
    levels: int | None = None,
) -> Registered:
    """The codec `name` of the registry, with another checkpoint in its place if one is given, or its first `levels`
    codebook levels. Raises LoadError."""
    from soundcodec_llmcodec.codec import load_codec
    from soundcodec_llmcodec.weights_files import CheckpointError

    try:
        codec = load_codec(name, checkpoint=checkpoint, device=device, optimize=optimize)
        if levels is not None:
            codec = type(codec)(codec=codec.codec.with_levels(levels))
        return Registered(codec, label)
    except (CheckpointError, ValueError) as error:
        raise LoadError(f"{label}: {error}") from error
