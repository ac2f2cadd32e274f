"""The network with its large products in bfloat16: faster, and no longer the same numbers.

Everything else stays in float32: the residual stream, the norms, both spectral layers and the search for the nearest
code.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from soundcodec_llmcodec.nn.conformer import Conformer
from soundcodec_llmcodec.nn.linear import has_bfloat16_products
from soundcodec_llmcodec.nn.model import CodecModel

# What `optimize` may be, and which of (encoder, decoder) runs in bfloat16 then.
OPTIMIZATIONS: dict[str | None, tuple[bool, bool]] = {
    None: (False, False),
    "bf16-decoder": (False, True),
    "bf16": (True, True),
}


def check_optimize(optimize: str | None) -> None:
    """Raise ValueError for what is no optimization."""
    if optimize not in OPTIMIZATIONS:
        names = ", ".join(repr(name) for name in OPTIMIZATIONS)
        raise ValueError(f"unknown optimization {optimize!r}; expected one of {names}")


def optimized(model: CodecModel, optimize: str | None) -> CodecModel:
    """A model that shares the given one's parts but for the conformers that run in bfloat16, which are copies."""
    check_optimize(optimize)
    if optimize is not None and next(model.parameters()).device.type == "cpu" and not has_bfloat16_products():
        warnings.warn(
            f"this processor has no bfloat16 products (x86 needs AVX-512 or AMX), so optimize={optimize!r} is slower "
            "than leaving it out",
            stacklevel=3,
        )
    encoder, decoder = OPTIMIZATIONS[optimize]
    faster = model
    for in_bf16, conformer in ((encoder, model.tokenizer.conformer), (decoder, model.token2wav.conformer)):
        if in_bf16:
            faster = _with(faster, conformer, in_bfloat16(conformer))
    return faster


def in_bfloat16(conformer: Conformer) -> Conformer:
    """A copy whose matrices and convolution kernels are bfloat16."""
    twin = copy.deepcopy(conformer).requires_grad_(False)
    for part in twin.modules():
        if isinstance(part, nn.Linear | nn.Conv1d):
            part.to(torch.bfloat16)
    return twin


def _with(model: CodecModel, old: nn.Module, new: nn.Module) -> CodecModel:
    """The model with one of its parts replaced; all others are shared, the given model is left as it is."""

    def replaced(module: nn.Module) -> nn.Module:
        if module is old:
            return new
        if not any(part is old for part in module.modules()):
            return module
        shell = copy.copy(module)
        shell._modules = {name: child and replaced(child) for name, child in module._modules.items()}
        return shell

    changed = replaced(model)
    assert isinstance(changed, CodecModel)
    return changed


@contextmanager
def float32_on_the_cpu() -> Iterator[None]:
    """New parameters are float32 and on the CPU, whatever the caller's defaults and modes."""
    before = torch.get_default_dtype()
    # A process's threads share the default type: it is touched only where it is another.
    if before != torch.float32:
        torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"), torch.inference_mode(False):
            yield
    finally:
        if before != torch.float32:
            torch.set_default_dtype(before)
