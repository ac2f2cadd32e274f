"""How large the frozen speech encoders are that a codec may have, and what decides the shape of one of transformers.

Sizes come from the teacher, so that a config need not repeat them. Nothing here needs torch or a download.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["whisper", "hama", "transformers"]
HAMA = "hama"
# Samples at 16 kHz from one frame to the next, for every teacher.
TEACHER_HOP = 320
MODEL_TYPES = ("hubert", "wav2vec2", "wavlm")
_MAX_SIZE = 16_384


@dataclass(frozen=True)
class TeacherSizes:
    """Features of a layer, attention heads, features of the feed-forward, mel bands (0: it hears samples), layers."""

    width: int
    heads: int
    ffn_width: int
    mels: int
    depth: int


PACKAGED: dict[str, TeacherSizes] = {
    "whisper-tiny.en": TeacherSizes(384, 6, 1_536, 80, 4),
    "whisper-base": TeacherSizes(512, 8, 2_048, 80, 6),
    HAMA: TeacherSizes(144, 4, 576, 80, 4),
}
_BASE: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3_072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "do_stable_layer_norm": False,
}
# What of a model's config decides its parts; some types have more than the others.
ARCHITECTURE_KEYS: dict[str, tuple[str, ...]] = {
    "hubert": (*_BASE, "feat_proj_layer_norm", "conv_pos_batch_norm"),
    "wav2vec2": tuple(_BASE),
    "wavlm": (*_BASE, "num_buckets", "max_bucket_distance"),
}
# The models that people name most, so that their configs can be written and printed offline.
KNOWN_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "facebook/hubert-base-ls960": {
        "model_type": "hubert",
        **_BASE,
        "feat_proj_layer_norm": True,
        "conv_pos_batch_norm": False,
    },
    "facebook/wav2vec2-base": {"model_type": "wav2vec2", **_BASE},
    "microsoft/wavlm-base-plus": {
        "model_type": "wavlm",
        **_BASE,
        "num_buckets": 320,
        "max_bucket_distance": 800,
    },
}


def sizes_of(architecture: Mapping[str, Any]) -> TeacherSizes:
    """The sizes of a model of transformers."""
    names = ("hidden_size", "num_attention_heads", "intermediate_size", "num_hidden_layers")
    width, heads, ffn_width, depth = (int(architecture[name]) for name in names)
    return TeacherSizes(width, heads, ffn_width, 0, depth)


def depth_of(teacher: str, architecture: Mapping[str, Any] | None) -> int | None:
    """How many layers a teacher has; None for one that is not known here."""
    if architecture is not None:
        return sizes_of(architecture).depth
    sizes = PACKAGED.get(teacher)
    return None if sizes is None else sizes.depth


def samples_of_a_frame(architecture: Mapping[str, Any]) -> int:
    """Samples that the convolutions of a model of transformers see for one frame: 400 for all that are known."""
    seen, step = 1, 1
    for kernel, stride in zip(architecture["conv_kernel"], architecture["conv_stride"], strict=True):
        seen += (kernel - 1) * step
        step *= stride
    return seen


def wrong_architecture(architecture: Any, n_fft: int) -> str | None:
    """What keeps a model of transformers from being a teacher, from its architecture alone; None for one that can."""
    if not isinstance(architecture, Mapping) or architecture.get("model_type") not in ARCHITECTURE_KEYS:
        return f"semantic.architecture is a mapping with a model_type of {', '.join(MODEL_TYPES)}, got {architecture!r}"
    keys = {"model_type", *ARCHITECTURE_KEYS[architecture["model_type"]]}
    if set(architecture) != keys:
        different = sorted(map(str, set(architecture) ^ keys))
        return f"semantic.architecture lacks, or should not have, the keys {', '.join(different)}"
    for name in ("conv_dim", "conv_kernel", "conv_stride"):
        if not isinstance(architecture[name], (list, tuple)) or not 1 <= len(architecture[name]) <= 16:
            return f"semantic.architecture.{name} is a list of up to 16 numbers, got {architecture[name]!r}"
    if len({len(architecture[name]) for name in ("conv_dim", "conv_kernel", "conv_stride")}) > 1:
        return "semantic.architecture's conv_dim, conv_kernel and conv_stride have different lengths"
    for name in keys:
        like = _BASE.get(name)
        values = architecture[name] if isinstance(like, list) else [architecture[name]]
        whole = isinstance(like, list) or (isinstance(like, int) and not isinstance(like, bool))
        if whole and not all(type(value) is int and 1 <= value <= _MAX_SIZE for value in values):
            return f"semantic.architecture.{name} takes numbers from 1 to {_MAX_SIZE:,}, got {architecture[name]!r}"
    hop, seen = math.prod(architecture["conv_stride"]), samples_of_a_frame(architecture)
    if hop != TEACHER_HOP or not hop <= seen <= n_fft or (n_fft - seen) % 2:
        return (
            f"a teacher has a frame every {TEACHER_HOP} samples, which sees {TEACHER_HOP} to {n_fft} (n_fft) of them, "
            f"an even number fewer than n_fft; this one has a frame every {hop}, which sees {seen}"
        )
    return None
