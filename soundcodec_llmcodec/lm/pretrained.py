"""Models as transformers reads them, and nothing made up."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from soundcodec_llmcodec.files import read_json

_SHOWN = 3
_SPARE = 1 << 20
# Transformers checks little of what it reads: a wrong value in a config ends wherever it is first used.
_UNREADABLE = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RuntimeError, TypeError)


def read_model(source: Path | str, dtype: torch.dtype, **options: Any) -> Any:
    """A causal LM by transformers, from files that hold all of it.

    Raises ValueError, naming them, for tensors that are missing (transformers would draw them at random and go on) or
    have another shape than the config says, and for whatever transformers stumbles over in a damaged folder. A model
    with code of its own is refused, and no size is believed before the files have it.
    """
    from transformers import AutoModelForCausalLM

    options = {"dtype": dtype, "output_loading_info": True, "ignore_mismatched_sizes": True, **options}
    options["trust_remote_code"] = False
    try:
        if Path(source).is_dir():
            check_sizes(Path(source))
        read: Any = AutoModelForCausalLM.from_pretrained(source, **options)
    except _unreadable() as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    model, info = read
    for what in ("missing", "mismatched"):
        names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in info.get(f"{what}_keys", ()))
        if names:
            raise ValueError(f"{len(names)} tensors are {what}: {', '.join(names[:_SHOWN])}")
    return model


def _unreadable() -> tuple[type[BaseException], ...]:
    """With what newer configs raise for a field of another type; older versions have no such error."""
    import huggingface_hub.errors

    strict_error = getattr(huggingface_hub.errors, "StrictDataclassError", None)
    return _UNREADABLE if strict_error is None else (*_UNREADABLE, strict_error)


def check_sizes(folder: Path) -> None:
    """Raise ValueError where a folder's config describes another model than its safetensors hold.

    Shapes are compared without memory for them, before transformers would fill what does not fit with random numbers.
    Folders without safetensors of their own (adapters, GGUF) are left to transformers.
    """
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    held: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            held |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    if not held or not (folder / "config.json").is_file():
        return
    read_json(folder / "config.json")
    config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    layers = config.get_text_config().num_hidden_layers
    if not 0 <= layers <= len(held):
        raise ValueError(f"the config describes {layers} layers, the files hold {len(held)} tensors")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    held_numbers = sum(math.prod(shape) for shape in held.values())
    described = sum(parameter.numel() for parameter in model.parameters())
    # What is missing in part is left to be named; this is about memory alone.
    if described > 2 * held_numbers + _SPARE:
        raise ValueError(f"the config describes {described:,} parameters, the files hold {held_numbers:,} numbers")
