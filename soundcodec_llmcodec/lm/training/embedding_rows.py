"""Where the codes' rows come from while a model trains: rows of their own, or a network of the codec's code vectors.

Rows become an ordinary embedding when the model is exported; nothing of this is needed to load it.

Letters: V codes, K codebook dimensions, E LM width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.training.lm_config import RowsConfig
from soundcodec_llmcodec.nn.code_embeddings import at_unit_variance, hidden_layers
from soundcodec_llmcodec.runs.errors import TrainConfigError

# What transformers draws the embeddings of Llama and Qwen3 with.
ROW_DEVIATION = 0.02


class FreeRows(nn.Module):
    """Rows (V, E) that train as they are."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone().float())

    def forward(self) -> Tensor:
        """(V, E)."""
        return self.weight


class CodebookRows(nn.Module):
    """Rows (V, E) as a network of code vectors (V, K), so that similar codes share what is learned, and a residual.

    With Q levels the vectors of all levels stand one after another, each with a one-hot of its level.

    `nn.code_embeddings.CodeRows` is the same idea for a codebook that moves: there the vectors come with each call, and
    rows begin around those that an LLM gives. Here a frozen codec's vectors are read once, with sines of them as
    further features; rows begin as transformers would draw them, and each code has a residual.
    """

    inputs: Tensor

    def __init__(self, codebook: Tensor, width: int, config: RowsConfig) -> None:
        super().__init__()
        self.register_buffer("inputs", _features(codebook, config), persistent=False)
        sizes = [self.inputs.shape[1], *[config.hidden] * config.layers]
        self.network = hidden_layers(sizes)
        self.last = nn.Linear(sizes[-1], width)
        with torch.no_grad():
            # Rows begin as spread as those that transformers would draw.
            drawn = self.last(self.network(self.inputs))
            self.last.weight *= ROW_DEVIATION / drawn.std().clamp_min(1e-6)
            self.last.bias.zero_()
        self.residual = nn.Parameter(torch.zeros(len(codebook), width)) if config.residual else None

    def forward(self) -> Tensor:
        """(V, E)."""
        shared = self.last(self.network(self.inputs))
        return shared if self.residual is None else self.residual + shared


def _features(codebook: Tensor, config: RowsConfig) -> Tensor:
    """What the network sees of each code: its unit vector scaled to unit variance, and random sines of it."""
    vectors = at_unit_variance(codebook.float())
    if not config.frequencies:
        return vectors
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(codebook.shape[1], config.frequencies, generator=generator) * config.bandwidth
    phases = codebook.float() @ waves
    return torch.cat((vectors, phases.sin(), phases.cos()), dim=1)


def codebook_of(codec: str, source: TokenSource) -> Tensor:
    """The codec's unit code vectors (Q V, K), level after level, with a one-hot of the level where Q is above 1.

    Raises TrainConfigError where the codec is not the one that made the tokens.
    """
    from soundcodec_llmcodec import checkpoints

    loaded = checkpoints.load(codec)
    codec_hash = checkpoints.weights_hash(loaded.config, loaded.model)
    if codec_hash != source.codec_hash:
        raise TrainConfigError(
            f"rows of the codebook need the codec that made the tokens, {source.codec_hash[:12]} "
            f"({source.codec_name}), but {codec!r} is {codec_hash[:12]}; name the right one: --codec FOLDER"
        )
    return stacked([level.codebook.detach() for level in loaded.model.tokenizer.vq.levels])


def stacked(levels: list[Tensor]) -> Tensor:
    """Code vectors (V, K) of each level as (Q V, K), or (Q V, K + Q) with a one-hot of the level where Q is above 1."""
    units: list[Any] = [functional.normalize(level.float(), dim=-1) for level in levels]
    if len(units) > 1:
        marks = torch.eye(len(units))
        units = [torch.cat((u, marks[q].expand(len(u), -1)), dim=1) for q, u in enumerate(units)]
    return torch.cat(units).clone()
