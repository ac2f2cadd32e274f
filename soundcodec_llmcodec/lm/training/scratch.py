"""Models of their own: codes, a token that begins a clip and one that ends it, and the characters of those that speak.

Letters: V codes, K codebook dimensions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.lm.training.embedding_rows import CodebookRows
from soundcodec_llmcodec.lm.training.lm_config import ScratchConfig
from soundcodec_llmcodec.lm.training.network import Network
from soundcodec_llmcodec.lm.training.packing import Layout
from soundcodec_llmcodec.lm.weights import input_embedding, output_head
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.vocabulary import TokenSpec

BEGIN_END = 2


def scratch_network(config: ScratchConfig, codes: int, codebook: Tensor | None = None, characters: int = 0) -> Network:
    """A model of `codes` codes, drawn from PyTorch's random state; rows of the codebook need it (V, K).

    Codes are the ids from 0 on, then the token that begins a clip, then the one that ends it, then `characters`
    characters of text.
    """
    others = BEGIN_END + characters
    spec, layout = TokenSpec(0, codes), Layout(0, codes, codes + 1, codes + BEGIN_END if characters else None)
    dropout, hidden = config.dropout, config.token_dropout
    if config.rows.kind == "free":
        lm = _transformer(config, codes + others, layout)
        return Network(_with_dropout(lm, dropout), spec, layout, token_dropout=hidden, dropout=dropout)
    if codebook is None or len(codebook) != codes:
        raise TrainConfigError(
            f"expected a codebook of {codes} vectors, got {None if codebook is None else codebook.shape}"
        )
    lm = _transformer(config, others, Layout(0, 0, 1))
    rows = CodebookRows(codebook, config.width, config.rows)
    head_rows = rows if config.tied else CodebookRows(codebook, config.width, config.rows)
    lm = _with_dropout(lm, dropout)
    return Network(lm, spec, layout, rows, head_rows, holds_codes=False, token_dropout=hidden, dropout=dropout)


def _transformer(config: ScratchConfig, rows: int, layout: Layout) -> Any:
    import transformers

    kinds = {"llama": transformers.LlamaConfig, "qwen3": transformers.Qwen3Config}
    shape = kinds[config.architecture](
        vocab_size=rows,
        hidden_size=config.width,
        intermediate_size=config.ffn or -(-8 * config.width // (3 * 32)) * 32,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads or config.heads,
        head_dim=config.width // config.heads,
        max_position_embeddings=config.max_positions,
        tie_word_embeddings=config.tied,
        bos_token_id=layout.bos_id,
        eos_token_id=layout.eos_id,
        pad_token_id=None,
    )
    return transformers.AutoModelForCausalLM.from_config(shape, trust_remote_code=False, attn_implementation="sdpa")


def _with_dropout(lm: Any, share: float) -> Any:
    """Dropout of what each attention and feed-forward adds, which these architectures have none of."""

    def drop(module: nn.Module, _: Any, output: Tensor) -> Tensor:
        return functional.dropout(output, share, module.training)

    if share:
        for layer in lm.base_model.layers:
            layer.self_attn.o_proj.register_forward_hook(drop)
            layer.mlp.register_forward_hook(drop)
    return lm


def with_room(lm: Any, config: ScratchConfig, network: Network) -> Any:
    """A copy of a model from scratch whose matrices have a place for the codes."""
    others = input_embedding(lm).num_embeddings
    whole = _transformer(config, network.spec.codebook_size + others, network.layout)
    tables = (input_embedding(whole).weight, output_head(whole).weight)
    names = {name for name, t in whole.state_dict(keep_vars=True).items() if any(t is table for table in tables)}
    whole.load_state_dict({name: t for name, t in lm.state_dict().items() if name not in names}, strict=False)
    return whole
