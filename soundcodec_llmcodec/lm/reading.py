"""Models as transformers reads them, and nothing made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

_SHOWN = 3


def read_model(source: Path | str, dtype: torch.dtype, **options: Any) -> Any:
    """A causal LM by transformers, from files that hold all of it.

    Raises ValueError, naming them, for tensors that are missing (transformers would draw them at random and go on) or
    have another shape than the config says.
    """
    from transformers import AutoModelForCausalLM

    options = {"dtype": dtype, "output_loading_info": True, "ignore_mismatched_sizes": True, **options}
    read: Any = AutoModelForCausalLM.from_pretrained(source, **options)
    model, found = read
    for what in ("missing", "mismatched"):
        names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in found.get(f"{what}_keys", ()))
        if names:
            raise ValueError(f"{len(names)} tensors are {what}: {', '.join(names[:_SHOWN])}")
    return model
