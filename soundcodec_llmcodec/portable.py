"""What a model is outside its process: plain fields and bytes, so that a codec can be pickled and sent to a worker.

A network with weight norm cannot be pickled by itself. Pickled tensors would do harm, too: handed to a spawned worker
they move into shared memory, one file descriptor each, and the worker's changes become the parent's. So the weights
travel as the bytes of a safetensors file. Equal codecs give equal bytes, by which `datasets` finds its cache again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.absent_encoder import AbsentEncoder
from soundcodec_llmcodec.nn.compiled import plain_name, plain_state
from soundcodec_llmcodec.nn.model import CodecModel


def packed_model(model: CodecModel) -> dict[str, Any]:
    """Weights as safetensors bytes, their device, and which parts train: all that `unpacked_model` needs."""
    # Copies: safetensors refuses tensors that share memory.
    absent = checkpoints.absent_encoder(model)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in plain_state(model).items()}
    return {
        "weights": save(tensors),
        "device": str(next(model.parameters()).device),
        "training": sorted({plain_name(name) for name, part in model.named_modules() if part.training}),
        "absent": None if absent is None else (absent.missing, absent.weights_hash),
        "learning": sorted({plain_name(name) for name, value in model.named_parameters() if value.requires_grad}),
    }


def unpacked_model(config: CodecConfig, packed: Mapping[str, Any]) -> CodecModel:
    """The model that was packed, on the device where it was, without torch.compile's wrapping.

    Raises CheckpointError where that device cannot be used here.
    """
    device = checkpoints.usable_device(packed["device"])
    with torch.inference_mode(False):
        absent = None if packed["absent"] is None else AbsentEncoder(*packed["absent"])
        model = checkpoints.build(config, load(packed["weights"]), "what was pickled", absent).to(device)
    training, learning = set(packed["training"]), set(packed["learning"])
    for name, part in model.named_modules():
        part.training = name in training
    for name, value in model.named_parameters():
        value.requires_grad_(name in learning)
    return model
