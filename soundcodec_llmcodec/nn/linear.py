"""Matrix products by the fastest library that is there.

On CPUs PyTorch multiplies float32 matrices by MKL, which runs on other makers' processors at half the rate that they
can do; oneDNN, which PyTorch carries too, does not. In float32 it also adds every row up in one order whatever the
number of rows, so that a frame's numbers do not depend on what else is in a batch.

Letters: N inputs, M outputs.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, gelu: Literal["none", "tanh"] | None = None
) -> Tensor:
    """x (..., N) by weight (M, N), plus bias (M,), and then the GELU of that approximation where wanted: (..., M).

    x takes the type of a bfloat16 weight. By oneDNN for inference in float32 or bfloat16 on a CPU, by PyTorch's own
    `linear` everywhere else: with gradients, under autocast, on other devices, and where a graph is recorded.
    """
    if weight.dtype == torch.bfloat16:
        x = x.to(torch.bfloat16)
    if not _by_onednn(x, weight):
        product = functional.linear(x, weight, bias)
        return product if gelu is None else functional.gelu(product, approximate=gelu)
    after: tuple[str, list[float], str] = ("none", [], "") if gelu is None else ("gelu", [], gelu)
    rows = x.reshape(-1, x.shape[-1]).contiguous()
    if rows.shape[0] == 1:
        # A single row would be a product of matrix and vector, which adds up in another order.
        product = torch.ops.mkldnn._linear_pointwise(rows.expand(2, -1).contiguous(), weight, bias, *after)[:1]
    else:
        product = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, *after)
    return product.view(*x.shape[:-1], weight.shape[0])


class FasterProducts(TorchFunctionMode):
    """Within it, `torch.nn.functional.linear`, and so every `nn.Linear` of a model of anybody's, is our `linear`."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.linear:
            func = linear
        return func(*args, **(kwargs or {}))


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    if x.device.type != "cpu" or x.dtype != weight.dtype or x.dtype not in (torch.float32, torch.bfloat16):
        return False
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return False
    if torch.is_autocast_enabled("cpu") or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    return x.numel() > 0 and _ONEDNN and (x.dtype == torch.float32 or has_bfloat16_products())


@functools.cache
def has_bfloat16_products() -> bool:
    """Whether oneDNN multiplies in bfloat16 on this CPU: x86 processors without AVX-512 cannot.

    PyTorch's own products take its place there, which are slower than those in float32.
    """
    some = torch.ones(2, 16, dtype=torch.bfloat16, device="cpu")
    try:
        torch.ops.mkldnn._linear_pointwise(some, some, None, "none", [], "")
    except RuntimeError:
        return False
    return True


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


_ONEDNN = _has_onednn()
