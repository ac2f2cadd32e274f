"""torch.compile's wrapping, looked through: a network's names and parts are those that it has without it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

# What torch.compile puts between the names of what it wraps.
_WRAPPED = "_orig_mod"


def plain_name(name: str) -> str:
    """A parameter's or a part's name without the wrapping."""
    return ".".join(part for part in name.split(".") if part != _WRAPPED)


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """A state dict under the names that it has without torch.compile, be it of the whole network or of any part."""
    return {plain_name(name): tensor for name, tensor in model.state_dict(keep_vars=True).items()}


def plain_part(part: Any) -> Any:
    """A part itself, where torch.compile has wrapped it."""
    return getattr(part, _WRAPPED, part)
