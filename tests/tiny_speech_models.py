"""Tiny untrained speech encoders of transformers, in folders as people have them."""

from __future__ import annotations

from pathlib import Path

import torch

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
# As base models are: a norm over time in the first convolution; and as large ones are: a norm in each convolution.
KINDS = {
    "hubert": ("Hubert", {}),
    "wavlm": ("WavLM", {}),
    "large wav2vec2": ("Wav2Vec2", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}),
}


def speech_model(kind: str, seed: int = 0):
    """A model with its dropouts, layer drop and masks on, as published ones have them."""
    import transformers

    name, fields = KINDS[kind]
    torch.manual_seed(seed)
    config = getattr(transformers, f"{name}Config")(**SIZES, **fields, layerdrop=0.5)
    return getattr(transformers, f"{name}Model")(config).eval()


def speech_folder(folder: Path, kind: str = "hubert", seed: int = 0) -> Path:
    """A folder with config.json and model.safetensors."""
    speech_model(kind, seed).save_pretrained(folder)
    return folder
