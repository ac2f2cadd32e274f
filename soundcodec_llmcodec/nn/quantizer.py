"""The factorized codebook: features to the nearest of V codes in a small space, and back.

Letters: B batch, F frames, D features, K codebook dimensions, V codes, Q levels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.compiled import plain_part
from soundcodec_llmcodec.nn.linear import linear

# Similarities at a time: what stays in a core's cache, or what fills another device.
_SEARCH_ELEMENTS_CPU = 1 << 19
_SEARCH_ELEMENTS = 1 << 28
# Codes whose largest similarity is found before its place.
_GROUP = 64


@dataclass(frozen=True)
class Quantized:
    """What quantizing gave.

    features (B, F, D): decoder input, straight-through to the encoder. codes (B, Q, F) int64. latents (B, Q, F, K):
    the projected features before the codebook. margins (B, Q, F): how much nearer (cosine) the chosen code is than
    the next one; None unless asked for. commitment and codebook losses: scalars (mean squares, weights not applied).
    """

    features: Tensor
    codes: Tensor
    latents: Tensor
    margins: Tensor | None
    commitment_loss: Tensor
    codebook_loss: Tensor

    def rows(self, count: int) -> Quantized:
        """That of the first `count` items; losses are those of all."""
        if count == len(self.codes):
            return self
        margins = None if self.margins is None else self.margins[:count]
        fields = {"features": self.features[:count], "codes": self.codes[:count], "latents": self.latents[:count]}
        return replace(self, margins=margins, **fields)


class FactorizedQuantizer(nn.Module):
    """One level: Conv1d D -> K, nearest code by cosine, Conv1d K -> D, both weight-normed."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.in_proj = weight_norm(nn.Conv1d(config.hidden_size, config.codebook_dim, 1))
        self.out_proj = weight_norm(nn.Conv1d(config.codebook_dim, config.hidden_size, 1))
        self._codebook = nn.Embedding(config.codebook_size, config.codebook_dim)

    @property
    def codebook(self) -> Tensor:
        """(V, K) code vectors."""
        return self._codebook.weight

    def project(self, features: Tensor) -> Tensor:
        """(B, F, D) to latents (B, F, K)."""
        return linear(features, self.in_proj.weight[:, :, 0], self.in_proj.bias)

    def similarities(self, latents: Tensor) -> Tensor:
        """Cosine of every latent (..., K) with every code: (..., V)."""
        return functional.normalize(latents, dim=-1) @ functional.normalize(self.codebook, dim=-1).t()

    def nearest(self, latents: Tensor, start: int, end: int, want_margins: bool) -> tuple[Tensor, Tensor | None]:
        """Codes (B, F) in [start, end) with the largest cosine to latents (B, F, K), and margins (B, 1, F) if wanted.

        Searched a block of frames at a time: all of a batch's similarities would be hundreds of megabytes, which take
        longer to write and to read than to compute.
        """
        rows = functional.normalize(latents, dim=-1).flatten(0, 1)
        directions = functional.normalize(self.codebook[start:end], dim=-1)
        elements = _SEARCH_ELEMENTS_CPU if latents.device.type == "cpu" else _SEARCH_ELEMENTS
        blocks = rows.split(max(1, elements // (end - start)))
        results = [_largest(linear(block, directions), want_margins) for block in blocks]
        codes = torch.cat([codes for codes, _ in results]).view(latents.shape[:2]) + start
        if not want_margins:
            return codes, None
        return codes, torch.cat([margins for _, margins in results]).view(latents.shape[:2])[:, None]

    def embed(self, codes: Tensor) -> Tensor:
        """Codes (B, F) to features (B, F, D)."""
        return self._lift(self._codebook(codes))

    def _lift(self, vectors: Tensor) -> Tensor:
        return linear(vectors, self.out_proj.weight[:, :, 0], self.out_proj.bias)

    def forward(self, features: Tensor, start: int, end: int, want_margins: bool = False) -> Quantized:
        """Nearest codes in [start, end) for features (B, F, D); one level of `Quantized` (codes (B, 1, F))."""
        latents = self.project(features)
        with torch.no_grad():
            codes, margins = self.nearest(latents, start, end, want_margins and end - start > 1)
        vectors = self._codebook(codes)
        commitment = functional.mse_loss(latents, vectors.detach())
        codebook = functional.mse_loss(vectors, latents.detach())
        through = latents + (vectors - latents).detach() if latents.requires_grad else vectors
        return Quantized(self._lift(through), codes[:, None], latents[:, None], margins, commitment, codebook)


def _largest(similarities: Tensor, want_margins: bool) -> tuple[Tensor, Tensor]:
    """Of (R, V), the place (R,) of each row's largest, the first of equals, and if wanted by how much it leads (R,).

    The largest of each group of codes first, and then the place in the group that has it: the places of all maxima cost
    several times the maxima.
    """
    count = similarities.shape[1]
    width = _GROUP if count % _GROUP == 0 and count > _GROUP else count
    grouped = similarities.view(len(similarities), -1, width)
    maxima = grouped.amax(dim=2)
    group = maxima.argmax(dim=1, keepdim=True)
    inside = grouped.gather(1, group[:, :, None].expand(-1, -1, width))[:, 0]
    place = inside.argmax(dim=1, keepdim=True)
    best = (group * width + place)[:, 0]
    if not want_margins:
        return best, best
    first = inside.gather(1, place)[:, 0]
    elsewhere = maxima.scatter(1, group, -torch.inf).amax(dim=1)
    beside = inside.scatter(1, place, -torch.inf).amax(dim=1)
    return best, first - torch.maximum(elsewhere, beside)


class ResidualQuantizer(nn.Module):
    """`num_quantizers` levels, each coding what the ones before left over (one level as published)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.quantizers = nn.ModuleList(FactorizedQuantizer(config) for _ in range(config.num_quantizers))

    @property
    def levels(self) -> list[FactorizedQuantizer]:
        """The levels in order."""
        return [plain_part(level) for level in self.quantizers]

    def forward(
        self, features: Tensor, start: int, end: int, want_margins: bool = False, counted: int | None = None
    ) -> Quantized:
        """Features (B, F, D) to `Quantized`: the codes of all levels in order. Features are the sum over the first
        `counted` levels (None: all), and so are losses."""
        residual, levels = features, []
        for quantizer in self.levels:
            level = quantizer(residual, start, end, want_margins)
            residual = residual - level.features
            levels.append(level)
        if len(levels) == 1:
            return levels[0]
        first = levels[:counted]
        margins = [level.margins for level in levels if level.margins is not None]
        return Quantized(
            features=torch.stack([level.features for level in first]).sum(0),
            codes=torch.cat([level.codes for level in levels], dim=1),
            latents=torch.cat([level.latents for level in levels], dim=1),
            margins=torch.cat(margins, dim=1) if margins else None,
            commitment_loss=torch.stack([level.commitment_loss for level in first]).sum(),
            codebook_loss=torch.stack([level.codebook_loss for level in first]).sum(),
        )

    def embed(self, codes: Tensor) -> Tensor:
        """Codes (B, Q, F) of the first Q levels to decoder features (B, F, D)."""
        levels = [quantizer.embed(codes[:, level]) for level, quantizer in enumerate(self.levels[: codes.shape[1]])]
        return levels[0] if len(levels) == 1 else torch.stack(levels).sum(0)
