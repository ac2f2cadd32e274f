"""The frozen LLM that a config names, as the language losses take it."""

from __future__ import annotations

import torch

from soundcodec_llmcodec.train.objectives.language import FrozenLM, Start
from soundcodec_llmcodec.train.train_config import TrainConfig


def loaded_lm(config: TrainConfig, device: str) -> tuple[FrozenLM, Start, str]:
    """The LLM, the rows that audio tokens begin with, and what identifies it. Raises BackboneError, or ImportError,
    which names the extra."""
    from soundcodec_llmcodec.lm.backbone import load_backbone
    from soundcodec_llmcodec.lm.extend import initial_audio_embeddings, initial_audio_head

    language = config.language
    lm = load_backbone(
        language.model, device=device, dtype=language.precision, gradient_checkpointing=language.gradient_checkpointing
    )
    size = config.codec_config.codebook_size
    rows = initial_audio_embeddings(lm.model, size, config.seed)
    head = initial_audio_head(lm.model, size, config.seed)
    # Rows that spread as words do make random logits of several nats; nearer to their mean, heads begin with a guess.
    head = torch.lerp(head.mean(dim=0, keepdim=True), head, config.language.head_spread)
    return lm, Start(rows, head, lm.n_layers), lm.weights_hash
