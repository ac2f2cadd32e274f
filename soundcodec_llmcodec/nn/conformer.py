"""The conformer: every layer that mixes time is in this file, and every one takes the item's own frames as a mask.

Where frames come bit by bit, streaming/layers.py runs the same parts.

Letters: B batch, F frames, D features, H heads, E head size, W attention window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.linear import linear

ROPE_BASE = 10_000.0


def rotary_tables(positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (len(positions), E) of the rotary embedding at the given positions (float32)."""
    steps = torch.arange(0, head_dim, 2, device=positions.device).float()
    inverse_frequency = 1.0 / (ROPE_BASE ** (steps / head_dim))
    angles = torch.einsum("i,j->ij", positions.float(), inverse_frequency)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of x (..., L, E) by tables (L, E)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat((-second, first), dim=-1) * sin.to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None) -> Tensor:
    """Softmax attention of (..., L, E) over (..., M, E); `keys` is a bool mask that broadcasts to (..., L, M).

    Written out for training on a CPU, where the fused kernel takes several times as long in bfloat16.
    """
    if q.device.type != "cpu" or not (torch.is_grad_enabled() and q.requires_grad):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=keys)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if keys is not None:
        scores = scores.masked_fill(~keys, -torch.inf)
    return scores.softmax(dim=-1) @ v


class Attention(nn.Module):
    """Multi-head attention with rotary positions, over the whole clip or over `window` frames on each side."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.head_dim = config.head_dim
        self.window = config.attention_window
        inner = config.num_heads * config.head_dim
        self.to_qkv = nn.Linear(config.hidden_size, 3 * inner, bias=False)
        self.to_out = nn.Linear(inner, config.hidden_size)

    def forward(self, x: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, F, D) to (B, F, D); frames outside `frame_mask` (B, F) are not looked at."""
        q, k, v = self.heads(x)
        if frame_mask is None or x.device.type != "cpu" or torch.is_grad_enabled():
            return self.joined(self._mixed(q, k, v, frame_mask))
        # Item by item, each as it would be alone, number for number: on a CPU a batch gains nothing here.
        mixed = torch.zeros_like(q)
        for item, frames in enumerate(frame_mask.sum(dim=1).tolist()):
            own = (slice(item, item + 1), slice(None), slice(frames))
            mixed[own] = self._mixed(q[own], k[own], v[own], None)
        return self.joined(mixed)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, F, D) to queries, keys and values (B, H, F, E)."""
        qkv = linear(x, self.to_qkv.weight).view(*x.shape[:2], 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return q, k, v

    def joined(self, mixed: Tensor) -> Tensor:
        """(B, H, F, E) to (B, F, D)."""
        return linear(mixed.transpose(1, 2).flatten(2), self.to_out.weight, self.to_out.bias)

    def _mixed(self, q: Tensor, k: Tensor, v: Tensor, frame_mask: Tensor | None) -> Tensor:
        # Up to four windows, one banded block costs less than blocks of three windows each.
        whole = self.window is None or q.shape[2] <= 4 * self.window
        return self._whole(q, k, v, frame_mask) if whole else self._local(q, k, v, frame_mask)

    def _whole(self, q: Tensor, k: Tensor, v: Tensor, frame_mask: Tensor | None) -> Tensor:
        positions = torch.arange(q.shape[2], device=q.device)
        cos, sin = rotary_tables(positions, self.head_dim)
        keys = None if frame_mask is None else frame_mask[:, None, None, :]
        if self.window is not None and q.shape[2] > self.window + 1:
            keys = (positions - positions[:, None]).abs() <= self.window
            if frame_mask is not None:
                # A padding query has no frame to look at; let it look at its band, or softmax gives NaN there.
                keys = keys & (frame_mask[:, None, None, :] | ~frame_mask[:, None, :, None])
        return attend(rotate(q, cos, sin), rotate(k, cos, sin), v, keys)

    def _local(self, q: Tensor, k: Tensor, v: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Blocks of W queries, each against its own block and the one on either side: linear in F.

        Positions count from the block's left neighbour, so the same frames give the same numbers wherever the block
        lies in the clip.
        """
        window = self.window or 1
        batch, heads, frames, size = q.shape
        blocks = -(-frames // window)
        tail = blocks * window - frames

        def neighbours(x: Tensor) -> Tensor:
            # (B, H, F, E) to (B * blocks, H, 3 W, E)
            padded = functional.pad(x, (0, 0, window, window + tail))
            spans = padded.unfold(2, 3 * window, window)  # (B, H, blocks, E, 3 W)
            return spans.permute(0, 2, 1, 4, 3).reshape(batch * blocks, heads, 3 * window, size)

        queries = functional.pad(q, (0, 0, 0, tail)).view(batch, heads, blocks, window, size)
        queries = queries.transpose(1, 2).reshape(batch * blocks, heads, window, size)
        cos, sin = rotary_tables(torch.arange(3 * window, device=q.device), self.head_dim)
        out = attend(
            rotate(queries, cos[window : 2 * window], sin[window : 2 * window]),
            rotate(neighbours(k), cos, sin),
            neighbours(v),
            self._local_mask(batch, frames, blocks, frame_mask, q.device),
        )
        out = out.view(batch, blocks, heads, window, size).transpose(1, 2)
        return out.reshape(batch, heads, blocks * window, size)[:, :, :frames]

    def _local_mask(
        self, batch: int, frames: int, blocks: int, frame_mask: Tensor | None, device: torch.device
    ) -> Tensor:
        """(B * blocks, 1, W, 3 W) bool: within the window, and a frame of the item."""
        window = self.window or 1
        if frame_mask is None:
            frame_mask = torch.ones(batch, frames, dtype=torch.bool, device=device)
        padded = functional.pad(frame_mask, (window, window + blocks * window - frames))
        keys = padded.unfold(1, 3 * window, window).reshape(batch * blocks, 1, 3 * window)
        queries = keys[:, 0, window : 2 * window, None]
        offset = torch.arange(3 * window, device=device) - window - torch.arange(window, device=device)[:, None]
        band = offset.abs() <= window
        # A padding query has no frame to look at; let it look at its whole band, or softmax gives NaN there.
        return (band & (keys | ~queries))[:, None]


class FeedForward(nn.Module):
    """Two linear layers with a tanh-GELU between."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.hidden_size * config.ffn_mult)
        self.down_proj = nn.Linear(config.hidden_size * config.ffn_mult, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D)."""
        raised = linear(x, self.up_proj.weight, self.up_proj.bias, gelu="tanh")
        return linear(raised, self.down_proj.weight, self.down_proj.bias)


class ConvolutionModule(nn.Module):
    """Gated point-wise, depth-wise and point-wise convolution with batch norm."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        dim, kernel = config.hidden_size, config.conv_kernel_size
        self.layer_norm = nn.LayerNorm(dim)
        self.pointwise_conv1 = nn.Conv1d(dim, 2 * dim, 1, bias=False)
        self.depthwise_conv = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim, bias=False)
        self.conv_norm = nn.BatchNorm1d(dim)
        self.pointwise_conv2 = nn.Conv1d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, F, D) to (B, F, D); frames outside the mask count as zero, as past the end of a clip."""
        gated = self.gated(x)
        if frame_mask is not None:
            gated = gated.masked_fill(~frame_mask[:, :, None], 0.0)
        return self.projected(self.mixed(gated))

    def gated(self, x: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D), frame by frame: what happens before frames are mixed."""
        return functional.glu(linear(self.layer_norm(x), self.pointwise_conv1.weight[:, :, 0]), dim=2)

    def mixed(self, gated: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D): the depth-wise convolution, with zeros past either end."""
        # Frames as a picture of one row, channels last in memory as they are: a kernel many times faster than Conv1d's.
        picture = gated.transpose(1, 2)[:, :, None, :]
        convolution = self.depthwise_conv
        kernel, padding = convolution.weight[:, :, None, :], (0, convolution.kernel_size[0] // 2)
        return functional.conv2d(picture, kernel, padding=padding, groups=convolution.groups)[:, :, 0, :].transpose(
            1, 2
        )

    def projected(self, mixed: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D), frame by frame: what happens after frames are mixed."""
        normed = self.conv_norm(mixed.transpose(1, 2)).transpose(1, 2)
        return linear(functional.gelu(normed, approximate="tanh"), self.pointwise_conv2.weight[:, :, 0])


class ConformerLayer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, each with a residual."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.ffn1_layer_norm = nn.LayerNorm(config.hidden_size)
        self.ffn1 = FeedForward(config)
        self.attn_layer_norm = nn.LayerNorm(config.hidden_size)
        self.attn = Attention(config)
        self.conv_module = ConvolutionModule(config)
        self.ffn2_layer_norm = nn.LayerNorm(config.hidden_size)
        self.ffn2 = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size)

    def forward(self, x: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, F, D) to (B, F, D)."""
        x = self.begun(x)
        x = x + self.attn(self.attn_layer_norm(x), frame_mask)
        x = x + self.conv_module(x, frame_mask)
        return self.ended(x)

    def begun(self, x: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D), frame by frame: what happens before frames are mixed."""
        return torch.add(x, self.ffn1(self.ffn1_layer_norm(x)), alpha=0.5)

    def ended(self, x: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D), frame by frame: what happens after frames are mixed."""
        return self.final_layer_norm(torch.add(x, self.ffn2(self.ffn2_layer_norm(x)), alpha=0.5))


class Conformer(nn.Module):
    """A stack of conformer layers and a last layer norm."""

    def __init__(self, config: CodecConfig, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConformerLayer(config) for _ in range(num_layers))
        self.layer_norm = nn.LayerNorm(config.hidden_size)

    def forward(self, x: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """(B, F, D) to (B, F, D); `frame_mask` (B, F) bool marks each item's own frames, None means all.

        Under autocast the residual stream stays in float32, and products alone are in the lower precision.
        """
        if torch.is_autocast_enabled(x.device.type):
            x = x.float()
        for layer in self.layers:
            x = layer(x, frame_mask)
        return self.layer_norm(x)
