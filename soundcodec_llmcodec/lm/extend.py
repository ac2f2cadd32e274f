"""Causal language models whose vocabulary holds the codes.

Letters: V codes, E LM width.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soundcodec_llmcodec.lm.backbone import load_causal_lm
from soundcodec_llmcodec.lm.packages import no_bars
from soundcodec_llmcodec.lm.tokenizer import extend_tokenizer, token_spec
from soundcodec_llmcodec.lm.weights import input_embedding, is_tied, output_head
from soundcodec_llmcodec.vocabulary import TokenSpec

SPEC_FILE = "codec_tokens.json"


@dataclass(frozen=True)
class ExtendedLM:
    """A causal LM and its tokenizer with a token for each code, and where these stand."""

    model: Any
    tokenizer: Any
    spec: TokenSpec

    @property
    def is_tied(self) -> bool:
        """Whether input embedding and head are one tensor."""
        return is_tied(self.model)

    def save(self, folder: str | Path) -> None:
        """Write model and tokenizer as transformers does, and `codec_tokens.json` beside them."""
        folder = Path(folder)
        with no_bars():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / SPEC_FILE).write_text(json.dumps(self.spec.to_dict()) + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls, place: str | Path, dtype: torch.dtype = torch.float32, codebook_size: int | None = None
    ) -> ExtendedLM:
        """What `save` wrote, or any extended LM in a folder or hub repository.

        Raises ValueError where the tokenizer has no codes, or others than `codebook_size` of them; where they stand
        elsewhere than `codec_tokens.json` says; or where the model has no rows for them. All of that is looked at
        before the weights are read.
        """
        specs: list[TokenSpec] = []

        def check(tokenizer: Any, config: Any) -> None:
            spec = token_spec(tokenizer)
            if codebook_size is not None and spec.codebook_size != codebook_size:
                raise ValueError(f"{place} has {spec.codebook_size} <CODEC_i> tokens, but the codec {codebook_size}")
            file = Path(place) / SPEC_FILE
            if file.exists():
                written = TokenSpec.from_dict(json.loads(file.read_text(encoding="utf-8")))
                if written != spec:
                    raise ValueError(f"{file} says {written}, but the tokenizer beside it has {spec}")
            rows = config.get_text_config().vocab_size
            if rows < spec.end_id:
                raise ValueError(f"the model in {place} has {rows} rows, but the codes end at {spec.end_id}")
            specs.append(spec)

        model, tokenizer = load_causal_lm(str(place), dtype, check)
        return cls(model, tokenizer, specs[0])


def extend_lm(model: Any, tokenizer: Any, codebook_size: int, *, seed: int = 0, in_place: bool = False) -> ExtendedLM:
    """A causal LM and its tokenizer with a token for each of `codebook_size` codes.

    The first code's id is the one that follows the tokenizer's last, so it takes a spare row where the model has more
    rows than the tokenizer ids. The codes' rows are drawn as `initial_audio_embeddings` says; no other row
    changes. A model and tokenizer that have the codes already come back with their rows as they are.
    `in_place` changes `model` itself instead of a copy, for models that are too large to have twice.

    Raises ValueError where the tokenizer has ids that the model has no rows for.
    """
    n_text_tokens = len(tokenizer)
    extended, spec = extend_tokenizer(tokenizer, codebook_size)
    rows = input_embedding(model).num_embeddings
    if rows < min(n_text_tokens, spec.first_id):
        raise ValueError(f"the tokenizer has {n_text_tokens} ids, but the model only {rows} rows")
    if not in_place:
        model = copy.deepcopy(model)
    if extended is tokenizer and rows >= spec.end_id:
        return ExtendedLM(model, extended, spec)
    tied = is_tied(model)
    entering = initial_audio_embeddings(model, codebook_size, seed)
    leaving = None if tied else initial_audio_head(model, codebook_size, seed)
    if rows < spec.end_id:
        # Transformers draws the new rows from the global random state, which is not ours to move; they are replaced.
        device = input_embedding(model).weight.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            model.resize_token_embeddings(spec.end_id, mean_resizing=False)
    if is_tied(model) != tied:
        raise ValueError(f"resizing the embeddings of {type(model).__name__} {'un' if tied else ''}tied its head")
    result = ExtendedLM(model, extended, spec)
    bias = output_head(model).bias
    if bias is not None:
        with torch.no_grad():
            bias[spec.first_id : spec.end_id] = 0
    return with_audio_embeddings(result, entering, leaving, in_place=True)


def with_audio_embeddings(
    extended: ExtendedLM, embeddings: Tensor, head: Tensor | None = None, *, in_place: bool = False
) -> ExtendedLM:
    """The LM with these rows (V, E) for the codes: `embeddings` at its input, `head` at its output.

    A tied model has one set of rows, so it takes no `head`, or an equal one; an untied one given no `head` keeps its.
    `in_place` changes `extended.model` itself instead of a copy. Raises ValueError for other shapes.
    """
    spec = extended.spec
    expected = (spec.codebook_size, input_embedding(extended.model).embedding_dim)
    for name, rows in (("embeddings", embeddings), ("head", head)):
        if rows is not None and tuple(rows.shape) != expected:
            raise ValueError(f"expected {name} {expected}, got {tuple(rows.shape)}")
    if extended.is_tied and head is not None and not torch.equal(head.cpu(), embeddings.cpu()):
        raise ValueError("input and output of this model share their rows; give the embeddings alone")
    model = extended.model if in_place else copy.deepcopy(extended.model)
    place = slice(spec.first_id, spec.end_id)
    with torch.no_grad():
        input_embedding(model).weight[place] = embeddings.to(input_embedding(model).weight)
        if head is not None:
            output_head(model).weight[place] = head.to(output_head(model).weight)
    return ExtendedLM(model, extended.tokenizer, spec)


def audio_embeddings(extended: ExtendedLM) -> tuple[Tensor, Tensor]:
    """Copies of the codes' rows (V, E): those of the input, and those of the head."""
    place = slice(extended.spec.first_id, extended.spec.end_id)
    rows = (input_embedding(extended.model).weight, output_head(extended.model).weight)
    return rows[0][place].detach().clone(), rows[1][place].detach().clone()


def initial_audio_embeddings(model: Any, codebook_size: int, seed: int) -> Tensor:
    """Rows (V, E), float32 on the CPU, to begin with: normal, each dimension with the text rows' mean and deviation."""
    return _rows_like(input_embedding(model).weight, codebook_size, seed)


def initial_audio_head(model: Any, codebook_size: int, seed: int) -> Tensor:
    """The same for the head; equal to the input's where they are tied."""
    return _rows_like(output_head(model).weight, codebook_size, seed)


def _rows_like(weight: Tensor, rows: int, seed: int) -> Tensor:
    deviation, mean = torch.std_mean(weight.detach().float(), dim=0)
    drawn = torch.randn(rows, len(mean), generator=torch.Generator().manual_seed(seed))
    return mean.cpu() + deviation.cpu() * drawn
