"""The codec as two graphs with free batch and length: padded samples to codes, padded codes to samples.

They hold the model's own weights and give its own results. What differs is what graph formats need: lengths are
tensors, so that nothing depends on the example that a graph was traced with; weight norm is folded; point-wise
convolutions are matrix products; and a bounded attention window always goes in blocks, whatever the length. Frames are
filled up to whole blocks once, at the graph's entrance, so that no layer has to.

Letters: B batch, S samples, F frames, D features, H heads, E head size, W attention window, Q levels, V codes.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.export.attention import attend
from soundcodec_llmcodec.export.harmonic_graph import HarmonicGraph
from soundcodec_llmcodec.export.semantic_graph import SemanticGraph, SemanticJoinGraph
from soundcodec_llmcodec.export.spectral_graphs import MagnitudeFeatures, Spectrum, Waveform, frames_of
from soundcodec_llmcodec.nn.conformer import Attention, Conformer, ConformerLayer, rotary_tables, rotate
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.quantizer import FactorizedQuantizer
from soundcodec_llmcodec.nn.stft import MagnitudeHead

# Below every cosine: added to codes that a domain may not use.
_FORBIDDEN = -4.0


class EncoderGraph(nn.Module):
    """Padded samples to codes."""

    def __init__(self, model: CodecModel) -> None:
        super().__init__()
        config = model.config
        self.config = config
        head = model.tokenizer.stft_head
        self.spectrum = MagnitudeFeatures(head) if isinstance(head, MagnitudeHead) else Spectrum(head.stft)
        self.inp = head.inp
        branch = model.tokenizer.semantic
        self.semantic = None if branch is None else SemanticGraph(branch)
        join = model.tokenizer.join
        self.join = None if join is None else SemanticJoinGraph(join)
        self.conformer = ConformerGraph(model.tokenizer.conformer, config)
        self.levels = nn.ModuleList(LevelGraph(level) for level in model.tokenizer.vq.levels)

    def forward(self, samples: Tensor, lengths: Tensor, code_range: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Samples (B, S) float32 with lengths (B,), 1 to S each, to codes (B, Q, F), frames (B,) and margins (B, Q, F).

        Whole numbers are int64. `code_range` (2,) is the half-open range of codes that may be used. F is the longest
        item's ceil(length / hop); codes past an item's own frames mean nothing. Margins (float32) are how much nearer,
        in cosine, a code is than the next.
        """
        hop = self.config.hop_length
        frames = (lengths + hop - 1) // hop
        count, filled = sizes(frames, self.config.chunk_grid)
        mask = torch.arange(filled, device=samples.device) < frames[:, None]
        own = frames_of(self._hops(samples, lengths, frames, filled), self.config.n_fft)
        x = self.inp(self.spectrum(own))
        if self.semantic is None:
            x = self.conformer(x, mask)
        elif self.join is None:
            x = self.conformer(x + self.semantic(own, mask), mask)
        else:
            x = self.join(self.conformer(x, mask), self.semantic(own, mask), mask)
        codes, margins = [], []
        for level in self.levels:
            found, margin, lifted = level(x, code_range)
            codes.append(found)
            margins.append(margin)
            x = x - lifted
        own_frames = torch.arange(count, device=samples.device)
        found, leads = (torch.stack(levels, dim=1).index_select(2, own_frames) for levels in (codes, margins))
        return found, frames, leads

    def _hops(self, samples: Tensor, lengths: Tensor, frames: Tensor, filled: int) -> Tensor:
        """What `nn.model.framed_samples` makes of each item alone: zeros to whole frames, reflected at both ends.

        The hops (B, filled + R - 1, hop) of which R make a frame.
        """
        config = self.config
        hop, padding = config.hop_length, config.stft_padding
        whole = (frames * hop).clamp(min=(padding // hop + 1) * hop)[:, None, None]
        rows = filled + -(-config.n_fft // hop) - 1
        start = torch.arange(rows, device=samples.device) * hop - padding
        index = (start[:, None] + torch.arange(hop, device=samples.device)).abs()
        index = torch.where(index < whole, index, 2 * (whole - 1) - index)
        # Negative past the reflection: there are other items' frames only.
        inside = (index >= 0) & (index < lengths[:, None, None])
        items = torch.arange(samples.shape[0], device=samples.device)[:, None, None]
        return torch.where(inside, samples[items, torch.where(inside, index, 0)], 0.0)


class DecoderGraph(nn.Module):
    """Padded codes to samples."""

    def __init__(self, model: CodecModel) -> None:
        super().__init__()
        config = model.config
        self.config = config
        self.levels = nn.ModuleList(LevelGraph(level) for level in model.tokenizer.vq.levels)
        self.inp = model.token2wav.inp
        self.conformer = ConformerGraph(model.token2wav.conformer, config)
        self.out = model.token2wav.istft_head.out
        self.waveform = Waveform(model.token2wav.istft_head.istft)
        source = model.token2wav.harmonics
        self.harmonics = None if source is None else HarmonicGraph(source, model.token2wav.istft_head.istft.window)

    def forward(self, codes: Tensor, frames: Tensor, frame: Tensor | None = None, cycles: Tensor | None = None) -> Any:
        """Codes (B, Q, F) int64 with frames (B,) int64, 1 to F each, to samples (B, G * hop) float32.

        G is the longest item's frames. Samples past an item's own frames are zero; codes past them do not count, but
        must be codes. A decoder with a harmonic source takes also a `frame` (1,) int64 and the source's cycles (B,)
        float64 at its centre (zeros for a whole clip), and gives those at all frames' centres (B, G) float64 too.
        """
        count, filled = sizes(frames, self.config.attention_window or 1)
        places = torch.arange(filled, device=codes.device)
        mask = places < frames[:, None]
        codes = codes.index_select(2, places.clamp(max=codes.shape[2] - 1))
        features = [level.embed(codes[:, index]) for index, level in enumerate(self._levels)]
        x = features[0] if len(features) == 1 else torch.stack(features).sum(0)
        if self.inp is not None:
            x = self.inp(x)
        x = self.conformer(x, mask)
        own_frames = torch.arange(count, device=codes.device)
        if self.harmonics is None:
            return self.waveform(self.out(x), mask).index_select(1, own_frames).flatten(1)
        harmonics, at_centres = self.harmonics(x, mask, frame, cycles)
        hops = self.waveform(self.out(x), mask, harmonics)
        return hops.index_select(1, own_frames).flatten(1), at_centres.index_select(1, own_frames)

    @property
    def _levels(self) -> list[LevelGraph]:
        return [level for level in self.levels if isinstance(level, LevelGraph)]


class LevelGraph(nn.Module):
    """One level of the codebook, its weight norms folded and its directions normalised beforehand."""

    codebook: Tensor
    directions: Tensor

    def __init__(self, level: FactorizedQuantizer) -> None:
        super().__init__()
        with torch.no_grad():
            self.register_buffer("codebook", level.codebook.detach())
            self.register_buffer("directions", functional.normalize(level.codebook, dim=-1).t().contiguous())
            self.project = _linear(level.in_proj)
            self.lift = _linear(level.out_proj)

    def forward(self, features: Tensor, code_range: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, F, D) to the nearest codes (B, F), their margins (B, F) and their features (B, F, D)."""
        similarities = functional.normalize(self.project(features), dim=-1) @ self.directions
        ids = torch.arange(self.codebook.shape[0], device=features.device)
        allowed = (ids >= code_range[0]) & (ids < code_range[1])
        best, order = (similarities + torch.where(allowed, 0.0, _FORBIDDEN)).topk(2, dim=-1)
        codes = order[:, :, 0]
        return codes, best[:, :, 0] - best[:, :, 1], self.embed(codes)

    def embed(self, codes: Tensor) -> Tensor:
        """Codes (B, F) to features (B, F, D)."""
        return self.lift(functional.embedding(codes, self.codebook))


class ConformerGraph(nn.Module):
    """A conformer whose every layer takes the items' own frames as a mask; F is whole blocks."""

    def __init__(self, conformer: Conformer, config: CodecConfig) -> None:
        super().__init__()
        layers = [layer for layer in conformer.layers if isinstance(layer, ConformerLayer)]
        self.layers = nn.ModuleList(ConformerLayerGraph(layer, config) for layer in layers)
        self.layer_norm = conformer.layer_norm

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D)."""
        for layer in self.layers:
            x = layer(x, frame_mask)
        return self.layer_norm(x)


class ConformerLayerGraph(nn.Module):
    """One conformer layer, with its own attention and its point-wise convolutions as matrix products."""

    def __init__(self, layer: ConformerLayer, config: CodecConfig) -> None:
        super().__init__()
        self.layer = layer
        whole = config.attention_window is None
        self.attention = WholeAttention(layer.attn) if whole else BlockAttention(layer.attn)
        self.gate = _linear(layer.conv_module.pointwise_conv1)
        self.leave = _linear(layer.conv_module.pointwise_conv2)

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D)."""
        layer = self.layer
        x = x + 0.5 * layer.ffn1(layer.ffn1_layer_norm(x))
        x = x + self.attention(layer.attn_layer_norm(x), frame_mask)
        x = x + self._convolve(x, frame_mask)
        x = x + 0.5 * layer.ffn2(layer.ffn2_layer_norm(x))
        return layer.final_layer_norm(x)

    def _convolve(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        module = self.layer.conv_module
        gated = functional.glu(self.gate(module.layer_norm(x)), dim=2)
        gated = torch.where(frame_mask[:, :, None], gated, 0.0).transpose(1, 2)
        mixed = functional.gelu(module.conv_norm(module.depthwise_conv(gated)), approximate="tanh")
        return self.leave(mixed.transpose(1, 2))


class WholeAttention(nn.Module):
    """Attention over an item's whole clip."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D)."""
        attention = self.attention
        batch, frames, _ = x.shape
        qkv = attention.to_qkv(x).reshape(batch, frames, 3, attention.num_heads, attention.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, F, E) each
        cos, sin = rotary_tables(torch.arange(frames, device=x.device), attention.head_dim)
        keys = frame_mask[:, None, None, :]
        mixed = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, keys)
        return attention.to_out(mixed.transpose(1, 2).reshape(batch, frames, -1))


class BlockAttention(nn.Module):
    """Blocks of W queries, each against its own block and the one on either side: linear in F."""

    cos: Tensor
    sin: Tensor
    band: Tensor

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.window = attention.window or 1
        window = self.window
        cos, sin = rotary_tables(torch.arange(3 * window), attention.head_dim)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)
        offset = torch.arange(3 * window) - window - torch.arange(window)[:, None]
        self.register_buffer("band", offset.abs() <= window)

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D), F whole blocks."""
        attention, window = self.attention, self.window
        batch, frames, _ = x.shape
        blocks = frames // window
        qkv = attention.to_qkv(x).reshape(batch, blocks, window, 3, attention.num_heads, attention.head_dim)
        q, k, v = qkv.permute(3, 0, 4, 1, 2, 5).unbind(0)  # (B, H, blocks, W, E) each
        own = frame_mask.reshape(batch, 1, blocks, window)
        keys = _neighbours(own[..., None])[..., 0]  # (B, 1, blocks, 3 W)
        # A padding query has no frame to look at; let it look at its whole band, or softmax gives NaN there.
        allowed = self.band & (keys[:, :, :, None, :] | ~own[..., None])
        mixed = attend(
            rotate(q, self.cos[window : 2 * window], self.sin[window : 2 * window]),
            rotate(_neighbours(k), self.cos, self.sin),
            _neighbours(v),
            allowed,
        )
        return attention.to_out(mixed.permute(0, 2, 3, 1, 4).reshape(batch, frames, -1))


def sizes(frames: Tensor, window: int) -> tuple[int, int]:
    """The longest item's frames, and those of the blocks of `window` frames that hold them.

    Both are read from a tensor: a traced program then knows every length by a name of its own, and assumes nothing.
    """
    longest = frames.max()
    count = cast(int, longest.item())
    blocks = cast(int, ((longest + window - 1) // window).item())
    torch._check(count >= 1)
    torch._check(blocks >= 1)
    return count, blocks * window


def _neighbours(x: Tensor) -> Tensor:
    """(B, H, blocks, W, E) to (B, H, blocks, 3 W, E): each block between the one before and the one after it."""
    blocks = x.shape[2]
    padded = functional.pad(x, (0, 0, 0, 0, 1, 1))
    return torch.cat((padded[:, :, :blocks], x, padded[:, :, 2 : blocks + 2]), dim=3)


def _linear(convolution: nn.Module) -> nn.Linear:
    """A point-wise convolution (weight norm folded) as a linear layer."""
    weight, bias = convolution.weight, convolution.bias
    assert isinstance(weight, Tensor)
    with torch.no_grad():
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        linear.weight = nn.Parameter(weight[:, :, 0].detach().clone(), requires_grad=False)
        if isinstance(bias, Tensor):
            linear.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return linear.eval()
