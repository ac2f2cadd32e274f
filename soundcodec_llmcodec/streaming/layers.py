"""The conformer over frames that come bit by bit: every frame goes through every layer once, and comes out final.

With a bounded attention window a layer's output at frame k needs its input up to k + window + half the convolution
kernel. So each layer keeps the keys and values that coming frames look back at and the frames that still wait for those
ahead of them, and nothing else: memory is bounded, and the work is that of coding the whole clip, however the frames
are cut. The parameters are the model's own modules.

Letters: F frames, D features, H heads, E head size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.compiled import plain_part
from soundcodec_llmcodec.nn.conformer import (
    Attention,
    Conformer,
    ConformerLayer,
    ConvolutionModule,
    rotary_tables,
    rotate,
)
from soundcodec_llmcodec.nn.semantic import SemanticBranch
from soundcodec_llmcodec.nn.semantic_join import SemanticJoin, mean_of_layers


def layer_lookahead(config: CodecConfig) -> int:
    """Frames ahead of a frame that one layer looks at; the attention window must be bounded."""
    if config.attention_window is None:
        raise ValueError("attention over the whole clip looks at every frame ahead: a stream of it cannot be exact")
    return config.attention_window + config.conv_kernel_size // 2


class AttentionStream:
    """Windowed attention: a frame comes out once the frames of its window ahead are there."""

    def __init__(self, attention: Attention) -> None:
        if attention.window is None:
            raise ValueError("attention over the whole clip cannot run frame by frame")
        self.attention = attention
        self.window = attention.window
        self.queries = attention.to_out.weight.new_zeros(1, attention.num_heads, 0, attention.head_dim)
        # Keys and values of at most a window of frames before the first query, and of those that wait.
        self.keys = self.queries
        self.values = self.queries

    def push(self, x: Tensor, last: bool) -> Tensor:
        """(1, F, D) new frames to (1, ready, D), ready in order; `last` lets all that wait come out."""
        q, k, v = self.attention.heads(x)
        queries, keys, values = (
            torch.cat(pair, dim=2) for pair in ((self.queries, q), (self.keys, k), (self.values, v))
        )
        waiting, past = queries.shape[2], keys.shape[2] - queries.shape[2]
        ready = waiting if last else max(0, waiting - self.window)
        end = past + min(ready + self.window, waiting)
        mixed = self._attend(queries[:, :, :ready], keys[:, :, :end], values[:, :, :end], past)
        n_past = max(0, past + ready - self.window)
        self.queries, self.keys, self.values = queries[:, :, ready:], keys[:, :, n_past:], values[:, :, n_past:]
        return self.attention.joined(mixed)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, past: int) -> Tensor:
        """Queries (1, H, ready, E), of which the first stands at key `past`, each to the keys in its window."""
        if queries.shape[2] == 0:
            return queries
        # Rotary angles count from the oldest key: they stay small, and so exact, however long the stream is.
        positions = torch.arange(keys.shape[2], device=keys.device)
        cos, sin = rotary_tables(positions, self.attention.head_dim)
        at = positions[past : past + queries.shape[2]]
        band = (positions - at[:, None]).abs() <= self.window
        return functional.scaled_dot_product_attention(
            rotate(queries, cos[at], sin[at]), rotate(keys, cos, sin), values, attn_mask=band
        )


class ConvolutionStream:
    """The convolution module: a frame comes out once half a kernel of frames ahead is there."""

    def __init__(self, module: ConvolutionModule) -> None:
        self.module = module
        self.side = int(module.depthwise_conv.kernel_size[0]) // 2
        # Gated inputs (1, past + waiting, D) of at most `side` frames that are out, and of those that wait.
        self.gated = module.pointwise_conv2.weight.new_zeros(1, 0, module.pointwise_conv2.in_channels)
        self.past = 0

    def push(self, x: Tensor, last: bool) -> Tensor:
        """(1, F, D) new frames to (1, ready, D)."""
        gated = torch.cat((self.gated, self.module.gated(x)), dim=1) if x.shape[1] else self.gated
        waiting = gated.shape[1] - self.past
        ready = waiting if last else max(0, waiting - self.side)
        out = self._mix(gated[:, : self.past + min(ready + self.side, waiting)], ready) if ready else x[:, :0]
        n_past = max(0, self.past + ready - self.side)
        self.gated, self.past = gated[:, n_past:], self.past + ready - n_past
        return out

    def _mix(self, gated: Tensor, ready: int) -> Tensor:
        """The `ready` frames after the past ones, (1, ready, D).

        The convolution pads with zeros, as is right at the clip's two ends; elsewhere half a kernel of frames on either
        side keeps the padding away from what is taken.
        """
        return self.module.projected(self.module.mixed(gated)[:, self.past : self.past + ready])


class LayerStream:
    """One conformer layer."""

    def __init__(self, layer: ConformerLayer) -> None:
        self.layer = layer
        self.attention = AttentionStream(layer.attn)
        self.convolution = ConvolutionStream(layer.conv_module)
        # Frames (1, waiting, D) that wait for what attention and convolution add to them.
        self.before_attention = layer.final_layer_norm.weight.new_zeros(1, 0, len(layer.final_layer_norm.weight))
        self.before_convolution = self.before_attention

    def push(self, x: Tensor, last: bool) -> Tensor:
        """(1, F, D) new frames to (1, ready, D)."""
        layer = self.layer
        x = layer.begun(x)
        mixed = self.attention.push(layer.attn_layer_norm(x), last)
        x, self.before_attention = _split(torch.cat((self.before_attention, x), dim=1), mixed.shape[1])
        x = x + mixed
        mixed = self.convolution.push(x, last)
        x, self.before_convolution = _split(torch.cat((self.before_convolution, x), dim=1), mixed.shape[1])
        x = x + mixed
        return layer.ended(x)


class ConformerStream:
    """A conformer: the layers one after the other, and the last layer norm."""

    def __init__(self, conformer: Conformer) -> None:
        self.layers = [LayerStream(plain_part(layer)) for layer in conformer.layers]
        self.layer_norm = conformer.layer_norm

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """(1, F, D) new frames to (1, ready, D): what can no longer change, or with `last` all that is left."""
        for layer in self.layers:
            x = layer.push(x, last)
        return self.layer_norm(x)


class SemanticStream:
    """A semantic branch: a block's frames come out once those of its context ahead are there.

    Letters: P numbers of a frame before the speech encoder mixes frames, W its width, L layers taken.
    """

    def __init__(self, branch: SemanticBranch) -> None:
        self.branch = branch
        self.config = branch.encoder.config
        # Begun frames (F, P): at most a context of those that are out, and those that wait.
        self.begun = next(branch.parameters()).new_zeros(0, branch.encoder.begun_width)
        self.past = 0

    def push(self, padded: Tensor | None, last: bool) -> Tensor:
        """Padded samples (1, S) of new frames, None for no frame, to the states that are ready, (1, ready, L * W)."""
        if padded is not None:
            self.begun = torch.cat((self.begun, self.branch.encoder.begun(padded)[0]))
        size, context = self.config.block_frames, self.config.context_frames
        states = [self.begun.new_zeros(0, len(self.config.layers) * self.config.width)]
        while (waiting := len(self.begun) - self.past) and (last or waiting >= size + context):
            low, high, stop = self.config.block_around(self.past, len(self.begun))
            states.append(self.branch.encoder.block(self.begun[low:high], low - self.past, stop - self.past))
            n_past = max(0, stop - context)
            self.begun, self.past = self.begun[n_past:], stop - n_past
        return torch.cat(states)[None]


class SemanticJoinStream:
    """The semantic encoder's convolutions: a frame comes out once those are there that its convolutions reach.

    Letters: H width of the convolutions.
    """

    def __init__(self, join: SemanticJoin, reach: int) -> None:
        self.join = join
        self.reach = reach
        # Means over layers (1, F, W): up to `reach` frames of those that are out, and those that wait.
        self.means = join.encoder.inp.weight.new_zeros(1, 0, join.encoder.inp.in_channels)
        self.past = 0

    def push(self, states: Tensor, last: bool) -> Tensor:
        """States (1, F, L * W) of new frames to semantic features (1, ready, H)."""
        self.means = torch.cat((self.means, mean_of_layers(states, self.join.layers)), dim=1)
        waiting = self.means.shape[1] - self.past
        ready = waiting if last else max(0, waiting - self.reach)
        if not ready:
            return self.join.semantic.weight.new_zeros(1, 0, self.join.semantic.in_features)
        features: Tensor = self.join.encoder(self.means)[:, self.past : self.past + ready]
        n_past = max(0, self.past + ready - self.reach)
        self.means, self.past = self.means[:, n_past:], self.past + ready - n_past
        return features


def _split(x: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """(1, F, D) into its first frames and the others."""
    return x[:, :frames], x[:, frames:]
