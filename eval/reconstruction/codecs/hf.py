"""Codecs of Hugging Face's transformers: hf:REPO_OR_FOLDER, with options behind a question mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.harness import fingerprints, hf_families, hf_models
from eval.harness.clips import CorpusClip
from eval.harness.hf_families import Family
from eval.harness.model_specs import ReconstructionError
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.shaping import to_clip, to_rate

# Repositories known to hold such models, for people to choose from; any other is taken too.
EXAMPLES = (
    "facebook/encodec_24khz",
    "descript/dac_16khz",
    "descript/dac_24khz",
    "descript/dac_44khz",
    "kyutai/mimi",
    "hf-audio/xcodec-hubert-librispeech",
    "HKUSTAudio/xcodec2-hf",
    "neuphonic/neucodec",
    "swiss-ai/wavtokenizer-large-unify-40token",
)


class HuggingFace:
    """A codec model of transformers, in float32, clip by clip: their padding of batches changes values."""

    def __init__(self, family: Family, source: str, label: str, device: str) -> None:
        import transformers

        self._family = family
        model = family.model
        weights = fingerprints.of_model(model, model.config.to_json_string())
        self.info = CodecInfo(
            name=label,
            kind="hf",
            checkpoint=source,
            checkpoint_hash=weights,
            identity=fingerprints.identity(
                f"weights {weights}",
                f"options {family.chosen}",
                f"transformers {transformers.__version__}",
                f"device {device.split(':')[0]}",
                fingerprints.of_package(),
                of_adapter(__file__, hf_families.__file__, hf_models.__file__),
            ),
            sample_rate=family.input_rate,
            bitrate_bps=family.bitrate_bps,
            token_rate=family.frame_rate * family.num_quantizers,
            codebook_size=family.codebook_size,
            num_quantizers=family.num_quantizers,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            device=device,
        )

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return [self._encode(clip) for clip in clips]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        return [self._decode(item, clip) for item, clip in zip(coded, clips, strict=True)]

    def _encode(self, clip: CorpusClip) -> Coded:
        import torch

        samples = to_rate(clip, self._family.input_rate)
        with torch.inference_mode():
            encoded = self._family.encode(samples)
        codes = encoded.codes.cpu().numpy().astype(np.int64)
        if codes.ndim != 2 or codes.shape[0] != self._family.num_quantizers:
            raise ReconstructionError(f"expected codes of {self._family.num_quantizers} levels, got {codes.shape}")
        return Coded(encoded.payload, codes, encoded.n_bits)

    def _decode(self, item: Coded, clip: CorpusClip) -> np.ndarray:
        import torch

        with torch.inference_mode():
            samples = self._family.decode(item.payload).float().cpu().numpy()
        return to_clip(samples, self._family.output_rate, clip)


def load(source: str, options: Mapping[str, str], label: str, device: str) -> HuggingFace:
    """The model of a folder or hub repository, with its options.

    Raises LoadError where transformers or the model are missing, or the model is none of FAMILIES, and
    UnknownSpecError for options that the model does not have.
    """
    family = hf_models.family_of(source, options, device)
    return HuggingFace(family, hf_models.with_revision(source, options), label, device)
