"""Tiny seeded language models, and tokenizers trained on a few lines."""

from __future__ import annotations

import tokenizers
import torch
import transformers

LINES = ["the cat sat on the mat 12 times", "she said: <CODE> is not <CODEC>, is it?", "a quick brown fox, über naïve"]
SPARE = 37  # rows that no id of the tokenizer uses, as in Qwen's models


def make_tokenizer(bos: str | None = None):
    """A byte-level BPE tokenizer without a padding token."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>", *([bos] if bos else [])],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(LINES, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", bos_token=bos)


def make_model(kind: str, rows: int):
    """A random causal LM of 3 layers, E = 32, in eval mode."""
    if kind == "gpt2":
        config = transformers.GPT2Config(vocab_size=rows, n_positions=24, n_embd=32, n_layer=3, n_head=2)
    else:
        config = transformers.Qwen3Config(
            vocab_size=rows,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=64,
            tie_word_embeddings=kind == "qwen3_tied",
        )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config).eval()
