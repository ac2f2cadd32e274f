"""Whisper's encoder, over the samples that the codec's own frames see.

Whisper attends over its whole input, and counts positions from its beginning. Here it runs block by block: a block of
frames with some context on either side, positions counted from the block, so that a frame's states depend on a bounded
stretch of samples and not on the clip's length. Frames are centred where the codec's are, and the level's floor is
fixed where Whisper's follows the clip's loudest sound.

Letters: B batch, S samples, F frames, W width, M mel bands, N n_fft, H heads, E head size, L layers taken.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.nn.conformer import attend
from soundcodec_llmcodec.nn.linear import linear
from soundcodec_llmcodec.nn.mel import mel_filters
from soundcodec_llmcodec.nn.semantic_encoder import SemanticEncoder

_WINDOW, _HOP = 400, 160  # of Whisper's spectra, in samples at 16 kHz
_POWER_FLOOR, _LOG_FLOOR = 1e-10, -6.5
# Two steps of three, one after the other and the second at every other step, reach so many mel frames.
MELS_A_FRAME = 5
_POSITION_BASE = 10_000.0
EVERY = slice(None)


def log_mels(bands: Tensor) -> Tensor:
    """Power in mel bands to Whisper's units, with a floor that does not follow the clip."""
    return (bands.clamp_min(_POWER_FLOOR).log10().clamp_min(_LOG_FLOOR) + 4.0) / 4.0


def position_table(count: int, width: int) -> Tensor:
    """Whisper's sinusoids (count, W) float32: sines of every rate, then cosines."""
    rates = torch.exp(
        -math.log(_POSITION_BASE) / (width // 2 - 1) * torch.arange(width // 2, dtype=torch.float64, device="cpu")
    )
    angles = torch.arange(count, dtype=torch.float64, device="cpu")[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1).float()


class SemanticAttention(nn.Module):
    """Multi-head attention over a block, without rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, keys: Tensor | None, queries: slice = EVERY) -> Tensor:
        """(B, F, W) to the frames `queries` of (B, F, W); `keys` (B, F) bool marks the frames that are looked at, None
        means all."""
        batch, frames, width = x.shape
        qkv = linear(x, self.qkv.weight, self.qkv.bias).view(batch, frames, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mask = None if keys is None else keys[:, None, None, :]
        mixed = attend(q[:, :, queries], k, v, mask)
        return linear(mixed.transpose(1, 2).flatten(2), self.out.weight, self.out.bias)


class SemanticLayer(nn.Module):
    """Attention and two linear layers with a GELU between, each after a norm and with a residual."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = SemanticAttention(config.width, config.heads)
        self.ffn_norm = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, config.ffn_width)
        self.down = nn.Linear(config.ffn_width, config.width)

    def forward(self, x: Tensor, keys: Tensor | None, queries: slice = EVERY) -> Tensor:
        """(B, F, W) to the frames `queries` of (B, F, W)."""
        x = x[:, queries] + self.attention(self.attention_norm(x), keys, queries)
        raised = linear(self.ffn_norm(x), self.up.weight, self.up.bias, gelu="none")
        return x + linear(raised, self.down.weight, self.down.bias)


class WhisperEncoder(SemanticEncoder):
    """Whisper's encoder: positions are counted from the block's context, and the mel floor does not follow the clip."""

    filters: Tensor
    window: Tensor
    positions: Tensor

    def __init__(self, config: SemanticConfig, codec: CodecConfig) -> None:
        super().__init__(config)
        self.begun_width = config.width
        self.n_fft, self.hop_length, self.mel_hop = codec.n_fft, codec.hop_length, _HOP
        # The middle of mel frame 0, which the first codec frame's convolutions reach: two hops before the frame's own.
        self.first = codec.n_fft // 2 - 2 * _HOP - _WINDOW // 2
        self.register_buffer("filters", mel_filters(codec.sample_rate, _WINDOW, config.mels), persistent=False)
        self.register_buffer("window", torch.hann_window(_WINDOW, dtype=torch.float32, device="cpu"), persistent=False)
        table = position_table(config.block_frames + 2 * config.context_frames, config.width)
        self.register_buffer("positions", table, persistent=False)
        self.conv1 = nn.Conv1d(config.mels, config.width, 3)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2)
        self.layers = nn.ModuleList(SemanticLayer(config) for _ in range(max(config.layers)))

    def begun(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) samples to (B, F, W), frame by frame: what happens before frames are mixed."""
        mels = self._mels(padded)
        first = _windows(mels, 3, 1).flatten(2)
        x = linear(first, self.conv1.weight.transpose(1, 2).flatten(1), self.conv1.bias, gelu="none")
        second = _windows(x, 3, 2).flatten(2)
        return linear(second, self.conv2.weight.transpose(1, 2).flatten(1), self.conv2.bias, gelu="none")

    def block(self, begun: Tensor, offset: int, count: int) -> Tensor:
        """Frames (F, W) of a block and its context, `offset` frames from the block's start, to the states
        (count, L * W) of the block's own frames. The last layer is not computed for the context."""
        first = self.config.context_frames + offset
        x = begun[None] + self.positions[first : first + len(begun)]
        return self._through(x, None, slice(-offset, count - offset))[0]

    def spans(self, begun: Tensor) -> Tensor:
        """(B, F, W) to (B, F, L * W), positions counted as in a clip's first block."""
        context = self.config.context_frames
        return self._through(begun + self.positions[context : context + begun.shape[1]], None)

    def _together(self, begun: Tensor, frame_mask: Tensor | None) -> Tensor:
        """All blocks of all items at once: what training and other devices run."""
        size, context = self.config.block_frames, self.config.context_frames
        batch, frames, width = begun.shape
        if frames <= size and frame_mask is None:
            return self.spans(begun)
        if frame_mask is None:
            frame_mask = torch.ones(batch, frames, dtype=torch.bool, device=begun.device)
        blocks = -(-frames // size)
        sides = (context, context + blocks * size - frames)
        spans = functional.pad(begun, (0, 0, *sides)).unfold(1, size + 2 * context, size)
        spans = spans.permute(0, 1, 3, 2).reshape(batch * blocks, -1, width)
        keys = functional.pad(frame_mask, sides).unfold(1, size + 2 * context, size).reshape(batch * blocks, -1)
        # A block past an item's end has no frame to look at; let it look at all, or softmax gives NaN there.
        keys = keys | ~keys.any(dim=1, keepdim=True)
        states = self._through(spans + self.positions, keys, slice(context, context + size))
        return states.reshape(batch, blocks * size, -1)[:, :frames]

    def _through(self, x: Tensor, keys: Tensor | None, queries: slice = EVERY) -> Tensor:
        """The states taken of the frames `queries`, (B, F', L * W)."""
        states, last = [], max(self.config.layers)
        for depth in range(last + 1):
            if depth:
                x = self.layers[depth - 1](x, keys, queries if depth == last else EVERY)
            if depth in self.config.layers:
                own = x if depth == last > 0 else x[:, queries]
                states.append(functional.layer_norm(own.float(), own.shape[-1:]))
        return torch.cat(states, dim=-1)

    def _mels(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) samples to log-mel features (B, 2 F + 3, M), in Whisper's units."""
        frames = (padded.shape[1] - self.n_fft) // self.hop_length + 1
        with torch.autocast(padded.device.type, enabled=False):
            samples = padded[:, self.first : self.first + (2 * frames + 2) * _HOP + _WINDOW].float()
            spectrum = torch.stft(
                samples, _WINDOW, hop_length=_HOP, window=self.window, center=False, return_complex=True
            )
            power = spectrum.real.square() + spectrum.imag.square()
            return log_mels(linear(power.transpose(1, 2), self.filters))


def _windows(x: Tensor, size: int, step: int) -> Tensor:
    """(B, T, C) to (B, T', size, C): runs of `size` steps."""
    return x.unfold(1, size, step).transpose(2, 3)
