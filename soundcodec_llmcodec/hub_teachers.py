"""Speech encoders of transformers as teachers: what their configs say, and their weights, from a folder or the hub.

Weights are read from safetensors alone. A pickle is never opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.teacher_sizes import ARCHITECTURE_KEYS, MODEL_TYPES, PACKAGED
from soundcodec_llmcodec.weights_files import TeacherError

# What transformers and the hub raise where a model cannot be had, for files, the network and configs.
_NOT_HAD = (OSError, ValueError, KeyError, RuntimeError)


def read_architecture(teacher: str) -> dict[str, Any]:
    """What of a model's config decides its parts. Raises TeacherError where it cannot be had, or is of another type."""
    repo, revision = _source(teacher)
    transformers = _transformers(teacher)
    try:
        config = transformers.AutoConfig.from_pretrained(repo, revision=revision, trust_remote_code=False)
    except _NOT_HAD as error:
        raise _not_had(teacher, error) from error
    return _architecture(teacher, config)


def hub_tensors(config: SemanticConfig) -> dict[str, Tensor]:
    """A model's tensors by their names in `nn.transformers_encoder.TransformersEncoder`, as float32.

    Raises TeacherError where they cannot be had, and for a model of another architecture than the config's.
    """
    import torch
    from safetensors import SafetensorError

    from soundcodec_llmcodec.lm.packages import no_bars

    repo, revision = _source(config.teacher)
    transformers = _transformers(config.teacher)
    try:
        with no_bars():
            model, report = transformers.AutoModel.from_pretrained(
                repo,
                revision=revision,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (*_NOT_HAD, SafetensorError) as error:
        raise _not_had(config.teacher, error) from error
    # transformers only warns of weights that a file lacks, and makes them up.
    lacking = sorted(name for name in report["missing_keys"] if "masked_spec_embed" not in name)
    if lacking:
        raise TeacherError(f"{config.teacher} lacks weights of its model, among them {', '.join(lacking[:3])}")
    held = _architecture(config.teacher, model.config)
    if held != config.architecture:
        wanted: Mapping[str, Any] = config.architecture or {}
        different = ", ".join(sorted(key for key in held | dict(wanted) if held.get(key) != wanted.get(key)))
        raise TeacherError(
            f"{config.teacher} is another model than the config's semantic.architecture describes: {different} differ. "
            "Leave architecture, width, heads and ffn_width out: they come from the teacher"
        )
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    # As plain weights, whatever weight norm's own tensors are called in this release of PyTorch.
    weights = model.encoder.pos_conv_embed.conv
    place = "model.encoder.pos_conv_embed.conv."
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(place)}
    return tensors | {f"{place}weight": weights.weight.detach().clone(), f"{place}bias": weights.bias.detach().clone()}


def is_hub_teacher(teacher: str) -> bool:
    """Whether a teacher's name is a folder or a hub id, of which transformers reads the model."""
    return teacher not in PACKAGED and ("/" in teacher or "\\" in teacher or Path(teacher).expanduser().is_dir())


def _source(teacher: str) -> tuple[str, str | None]:
    """(folder or hub id, revision)."""
    if not is_hub_teacher(teacher):
        raise TeacherError(
            f"unknown semantic.teacher {teacher!r}; there are {', '.join(sorted(PACKAGED))}, and HuBERT, wav2vec 2.0 "
            "and WavLM of transformers by a folder or a hub id, such as facebook/hubert-base-ls960"
        )
    if Path(teacher).expanduser().is_dir():
        return str(Path(teacher).expanduser()), None
    repo, _, revision = teacher.partition("@")
    return repo, revision or None


def _architecture(teacher: str, config: Any) -> dict[str, Any]:
    """What of a config of transformers decides the model's parts."""
    kind = getattr(config, "model_type", None)
    if kind not in ARCHITECTURE_KEYS:
        raise TeacherError(f"{teacher} is a {kind} model; a teacher is one of {', '.join(MODEL_TYPES)}")
    values = {key: getattr(config, key) for key in ARCHITECTURE_KEYS[kind]}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {"model_type": kind, **plain}


def _transformers(teacher: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise TeacherError(missing(f"the teacher {teacher}", "transformers", "lm")) from error
    return transformers


def _not_had(teacher: str, error: Exception) -> TeacherError:
    """Why a model cannot be had, and what to do."""
    why = " ".join(str(error).split())[:500].rstrip(".")
    if "safetensors" in why:
        why = f"{why}. It seems to hold its weights as a pickle (pytorch_model.bin) alone, which is never opened here"
    return TeacherError(
        f"the teacher {teacher} cannot be had: {why}. Check the name and the network, or download it elsewhere (hf "
        "download OWNER/NAME --local-dir FOLDER) and name the folder as semantic.teacher. Where there is no "
        "model.safetensors, name a revision that has one (OWNER/NAME@refs/pr/N, the pull request of the hub's "
        'converter), or convert once what you trust: python -c "from transformers import AutoModel; '
        "AutoModel.from_pretrained('OWNER/NAME', use_safetensors=False).save_pretrained('FOLDER')\""
    )
