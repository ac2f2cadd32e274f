"""Codec models of Hugging Face's transformers, from a folder or the hub, read from safetensors alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.harness.foreign_errors import FOREIGN_ERRORS
from eval.harness.hf_families import FAMILIES, LEFT_OUT, Family
from eval.harness.model_specs import LoadError, UnknownSpecError
from soundcodec_llmcodec import extras

EXTRA = "eval-all"
_REVISION = "revision"


def missing() -> str | None:
    """What to install before these codecs can be had; None when it is there."""
    if importlib.util.find_spec("transformers") is None:
        return extras.missing("hf:", "transformers", EXTRA)
    return None


def family_of(source: str, options: Mapping[str, str], device: str) -> Family:
    """The model of a folder or hub repository, with its options.

    Raises LoadError where transformers or the model are missing, or the model is none of FAMILIES, and
    UnknownSpecError for options that the model does not have.
    """
    problem = missing()
    if problem:
        raise LoadError(problem)
    own = {key: value for key, value in options.items() if key != _REVISION}
    model = _model(source, options.get(_REVISION), device)
    family = FAMILIES[model.config.model_type]
    unknown = sorted(set(own) - set(family.options))
    if unknown:
        allowed = ", ".join([*family.options, _REVISION])
        raise UnknownSpecError(f"hf:{source} ({model.config.model_type}) has no option {unknown}; it has: {allowed}")
    return family(model, own, f"hf:{source}")


def with_revision(source: str, options: Mapping[str, str]) -> str:
    """Where a model is from, for people."""
    revision = options.get(_REVISION)
    return f"{source}@{revision}" if revision else source


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
