"""Embedding matrices of a causal language model, and a hash over its weights.

Letters: E LM width.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn


def input_embedding(model: Any) -> nn.Embedding:
    """The embedding of a causal LM's input, (rows, E).

    Raises ValueError for embeddings that are scaled when they are looked up (Gemma 3): rows trained as inputs could not
    be put into their matrix as they are.
    """
    embedding = model.get_input_embeddings()
    scale = float(getattr(embedding, "embed_scale", 1.0))
    if scale != 1.0:
        raise ValueError(f"{type(model).__name__} multiplies its embeddings by {scale:g}, which is not supported")
    if not isinstance(embedding, nn.Embedding):
        raise ValueError(f"expected an nn.Embedding as input of {type(model).__name__}, got {type(embedding).__name__}")
    return embedding


def output_head(model: Any) -> nn.Linear:
    """The linear layer from a causal LM's last hidden state to logits, its weight (rows, E)."""
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        raise ValueError(f"expected a linear head on {type(model).__name__}, got {type(head).__name__}")
    return head


def is_tied(model: Any) -> bool:
    """Whether input embedding and head are one tensor."""
    return output_head(model).weight is input_embedding(model).weight


def weights_hash(model: Any, rows: int | None = None) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and saved buffers, in the order of their names.

    With `rows`, only the first so many rows of the input embedding and of the head count: equal before and after a
    vocabulary was extended from there, if nothing else changed.
    """
    state = model.state_dict(keep_vars=True)
    limited = [input_embedding(model).weight]
    head = output_head(model)
    limited += [part for part in (head.weight, head.bias) if part is not None]
    tensors = dict(model.named_parameters()) | {name: b for name, b in model.named_buffers() if name in state}
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        part = tensor[:rows] if any(tensor is weight for weight in limited) else tensor
        digest.update(f"{name} {part.dtype} {tuple(part.shape)}\n".encode())
        digest.update(_bytes(part))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> Any:
    """The bytes of a tensor of any type, without a copy where it lies whole in main memory."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
