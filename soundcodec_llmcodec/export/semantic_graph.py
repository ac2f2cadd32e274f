"""The semantic branch as a graph: mel bands and convolutions frame by frame, then attention in blocks with context.

Letters: B batch, F frames, D features, N n_fft, M mel bands, W width, C context frames, G block frames, L layers taken.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.export.attention import attend
from soundcodec_llmcodec.export.spectral_graphs import Magnitudes
from soundcodec_llmcodec.nn.semantic import SemanticBranch
from soundcodec_llmcodec.nn.semantic_join import SemanticJoin
from soundcodec_llmcodec.nn.whisper_encoder import MELS_A_FRAME, SemanticLayer, WhisperEncoder, log_mels


class SemanticGraph(nn.Module):
    """Frames' own samples to what the branch adds to the conformer's input; F is whole blocks."""

    filters: Tensor
    positions: Tensor

    def __init__(self, branch: SemanticBranch) -> None:
        super().__init__()
        encoder = branch.encoder
        assert isinstance(encoder, WhisperEncoder)  # others are refused before any work
        self.config = encoder.config
        self.register_buffer("filters", encoder.filters)
        self.register_buffer("positions", encoder.positions)
        self.bands = Magnitudes(encoder.window, encoder.first, encoder.mel_hop, MELS_A_FRAME)
        with torch.no_grad():
            self.first, self.second = _product(encoder.conv1), _product(encoder.conv2)
        layers = [layer for layer in encoder.layers if isinstance(layer, SemanticLayer)]
        self.layers = nn.ModuleList(SemanticLayerGraph(layer) for layer in layers)
        self.out = branch.out

    def forward(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, F, N) samples to (B, F, D); where the branch joins before the codebook, to states (B, F, L * W)."""
        mels = log_mels(self.bands(frames).square() @ self.filters.t())  # (B, F, MELS_A_FRAME, M)
        steps = [torch.cat([mels[:, :, k + tap] for tap in range(3)], dim=2) for k in range(3)]
        raised = torch.cat([functional.gelu(self.first(step)) for step in steps], dim=2)
        begun = functional.gelu(self.second(raised))
        states = self._blocks(begun, frame_mask)
        return states if self.out is None else self.out(states)

    def _blocks(self, begun: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, F, W) to states (B, F, L * W)."""
        size, context = self.config.block_frames, self.config.context_frames
        batch, frames, width = begun.shape
        blocks = frames // size
        spans = _with_context(begun.reshape(batch, blocks, size, width), context)
        keys = _with_context(frame_mask.reshape(batch, blocks, size, 1), context)[..., 0]
        span = size + 2 * context
        # A block past an item's end has no frame to look at; let it look at all, or softmax gives NaN there.
        keys = (keys | ~keys.any(dim=2, keepdim=True)).reshape(batch * blocks, 1, 1, span)
        x = spans.reshape(batch * blocks, span, width) + self.positions
        cut = []
        for depth in range(len(self.layers) + 1):
            if depth:
                x = self.layers[depth - 1](x, keys)
            if depth in self.config.layers:
                cut.append(functional.layer_norm(x, (width,)))
        states = torch.cat(cut, dim=2)[:, context : context + size]
        return states.reshape(batch, frames, len(self.config.layers) * width)


class SemanticJoinGraph(nn.Module):
    """The semantic encoder and the projections that join its features to the acoustic ones."""

    def __init__(self, join: SemanticJoin) -> None:
        super().__init__()
        self.layers = join.layers
        self.reach = join.encoder.inp.kernel_size[0] // 2
        with torch.no_grad():
            self.inp = _product(join.encoder.inp)
            self.over_frames = nn.ModuleList(_product(over_frames) for over_frames, _ in join.encoder.residuals)
        self.in_frame = join.encoder.in_frame
        self.acoustic, self.semantic = join.acoustic, join.semantic

    def forward(self, acoustic: Tensor, states: Tensor, frame_mask: Tensor) -> Tensor:
        """Acoustic features (B, F, D) and states (B, F, L * W) to (B, F, D)."""
        batch, frames, width = states.shape
        means = states.reshape(batch, frames, self.layers, width // self.layers).mean(dim=2)
        x = self.inp(self._windows(means, frame_mask))
        for over, inside in zip(self.over_frames, self.in_frame, strict=True):
            x = x + inside(functional.gelu(over(self._windows(functional.gelu(x), frame_mask))))
        return torch.cat((self.acoustic(acoustic), self.semantic(x)), dim=2)

    def _windows(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, F, C) to each frame with its neighbours (B, F, K * C), one frame after the other; zeros outside."""
        frames = x.shape[1]
        x = functional.pad(x * frame_mask[:, :, None].to(x.dtype), (0, 0, self.reach, self.reach))
        return torch.cat([x[:, tap : tap + frames] for tap in range(2 * self.reach + 1)], dim=2)


class SemanticLayerGraph(nn.Module):
    """One layer, its attention written out."""

    def __init__(self, layer: SemanticLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """(B, F, W) to (B, F, W); `keys` (B, 1, 1, F) bool."""
        layer, attention = self.layer, self.layer.attention
        batch, frames, width = x.shape
        qkv = attention.qkv(layer.attention_norm(x)).reshape(batch, frames, 3, attention.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(q, k, v, keys).transpose(1, 2).reshape(batch, frames, width)
        x = x + attention.out(mixed)
        return x + layer.down(functional.gelu(layer.up(layer.ffn_norm(x))))


def _with_context(x: Tensor, context: int) -> Tensor:
    """(B, blocks, G, W) to (B, blocks, C + G + C, W): each block between the ends of its neighbours."""
    if not context:
        return x
    blocks, size = x.shape[1], x.shape[2]
    padded = functional.pad(x.to(torch.float32), (0, 0, 0, 0, 1, 1)).to(x.dtype)
    before, after = padded[:, :blocks, size - context :], padded[:, 2 : blocks + 2, :context]
    return torch.cat((before, x, after), dim=2)


def _product(convolution: nn.Conv1d) -> nn.Linear:
    """A convolution over some steps as a linear layer of the steps' values, one step after the other."""
    weight, bias = convolution.weight, convolution.bias
    linear = nn.Linear(weight.shape[1] * weight.shape[2], weight.shape[0])
    linear.weight = nn.Parameter(weight.transpose(1, 2).flatten(1).detach().clone(), requires_grad=False)
    assert bias is not None
    linear.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return linear
