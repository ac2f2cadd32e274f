"""Codecs of Hugging Face's transformers: hf:REPO_OR_FOLDER, with options behind a question mark."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness import fingerprints
from eval.harness.clips import CorpusClip
from eval.harness.foreign_errors import FOREIGN_ERRORS
from eval.harness.model_specs import LoadError, ReconstructionError, UnknownSpecError
from eval.reconstruction.codecs import hf_families
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.hf_families import FAMILIES, LEFT_OUT, Family
from eval.reconstruction.codecs.shaping import to_clip, to_rate
from soundcodec_llmcodec import extras

EXTRA = "eval-all"
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
                of_adapter(__file__, hf_families.__file__),
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


def missing() -> str | None:
    """What to install before these codecs can be had; None when it is there."""
    if importlib.util.find_spec("transformers") is None:
        return extras.missing("hf:", "transformers", EXTRA)
    return None


def load(source: str, options: Mapping[str, str], label: str, device: str) -> HuggingFace:
    """The model of a folder or hub repository, with its options.

    Raises LoadError where transformers or the model are missing, or the model is none of FAMILIES, and
    UnknownSpecError for options that the model does not have.
    """
    problem = missing()
    if problem:
        raise LoadError(problem)
    options = dict(options)
    revision = options.pop("revision", None)
    model = _model(source, revision, device)
    family = FAMILIES[model.config.model_type]
    unknown = sorted(set(options) - set(family.options))
    if unknown:
        allowed = ", ".join([*family.options, "revision"])
        raise UnknownSpecError(f"hf:{source} ({model.config.model_type}) has no option {unknown}; it has: {allowed}")
    at = f"{source}@{revision}" if revision else source
    return HuggingFace(family(model, options, f"hf:{source}"), at, label, device)


def _model(source: str, revision: str | None, device: str) -> Any:
    """The model in eval mode, whole. Raises LoadError."""
    from transformers import AutoConfig, AutoModel

    folder = Path(source).expanduser()
    where = str(folder) if folder.is_dir() else source
    from safetensors import SafetensorError

    try:
        config = AutoConfig.from_pretrained(where, revision=revision, trust_remote_code=False)
        if config.model_type not in FAMILIES:
            why = LEFT_OUT.get(config.model_type)
            reason = f": {why}. Code elsewhere and compare the audio by recon:FOLDER" if why else ""
            raise LoadError(
                f"hf:{source} is a model of the type {config.model_type!r}{reason}; codecs are: {', '.join(FAMILIES)}"
            )
        # Safetensors only: nothing here reads a pickle.
        model, report = AutoModel.from_pretrained(
            where,
            config=config,
            revision=revision,
            use_safetensors=True,
            trust_remote_code=False,
            dtype="float32",
            output_loading_info=True,
        )
    except LoadError:
        raise
    except (*FOREIGN_ERRORS, SafetensorError) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise LoadError(
            f"hf:{source} could not be had: {why}. Check the name and the network, or download the repository "
            "elsewhere (hf download REPO --local-dir FOLDER) and name the folder: hf:FOLDER"
        ) from error
    # transformers only warns of weights that a checkpoint lacks, and makes them up.
    if report["missing_keys"]:
        some = ", ".join(sorted(report["missing_keys"])[:4])
        raise LoadError(f"hf:{source} lacks weights of its model, among them {some}")
    return _on(model.eval().requires_grad_(False), device)


def _on(model: Any, device: str) -> Any:
    from soundcodec_llmcodec.checkpoints import usable_device
    from soundcodec_llmcodec.weights_files import CheckpointError

    try:
        return model.to(usable_device(device))
    except CheckpointError as error:
        raise LoadError(str(error)) from error
