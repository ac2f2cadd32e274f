"""Any causal LM, extended by a token for each code, and what of it trains."""

from __future__ import annotations

from typing import Any

import torch

from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.lm.extend import ExtendedLM, audio_embeddings, extend_lm
from soundcodec_llmcodec.lm.token_head import TokenHead
from soundcodec_llmcodec.lm.training.embedding_rows import FreeRows
from soundcodec_llmcodec.lm.training.lm_config import FinetuneConfig, LoraSettings
from soundcodec_llmcodec.lm.training.network import Network
from soundcodec_llmcodec.lm.training.packing import Layout
from soundcodec_llmcodec.lm.weights import is_tied


def finetuned_network(config: FinetuneConfig, codes: int, seed: int) -> Network:
    """The LM that the config names, with rows for `codes` codes drawn by the seed."""
    from soundcodec_llmcodec.lm.backbone import DTYPES, load_causal_lm

    model, tokenizer = load_causal_lm(config.model, DTYPES[config.dtype])
    extended = extend_lm(model, tokenizer, codes, seed=seed, in_place=True)
    return extended_network(extended, config)


def extended_network(extended: ExtendedLM, config: FinetuneConfig) -> Network:
    """The network of an extended LM, with what `config.tune` says to train. The LM itself is taken over.

    Raises ValueError for a model whose logits are not its head's product with its last state.
    """
    lm, tokenizer, spec = extended.model, extended.tokenizer, extended.spec
    with torch.no_grad():
        TokenHead(lm.eval(), spec)  # looks whether they are
    layout = Layout(spec.first_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    if config.gradient_checkpointing:
        # Its name since transformers 5.
        enable = getattr(lm, "activation_checkpointing_enable", None) or lm.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    if config.tune == "all":
        return Network(lm.requires_grad_(True), spec, layout, tokenizer=tokenizer)
    rows, leaving = audio_embeddings(extended)
    entering = FreeRows(rows)
    head_rows = entering if is_tied(lm) else FreeRows(leaving)
    lm.requires_grad_(False)
    wrapped = _adapted(lm, config.lora) if config.tune == "lora" else None
    return Network(lm, spec, layout, entering, head_rows, tokenizer=tokenizer, wrapped=wrapped)


def _adapted(lm: Any, settings: LoraSettings) -> Any:
    """PEFT's low-rank changes put into the LM's linear layers. The codes' rows train beside them, as `FreeRows`."""
    try:
        import peft
    except ImportError as error:
        raise ImportError(missing("low-rank fine-tuning", "peft", "lm")) from error
    targets = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    lora = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(lm, lora)
