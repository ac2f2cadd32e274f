"""The phoneme recogniser of the package hama as a speech encoder: a conformer over log-mel spectra, without its last
projection to phonemes.

It has no positions of its own: its order comes from convolutions over 31 frames. Its frames are centred where the
codec's are, half a hop later than in the package.

Letters: B batch, S samples, F frames, W width, M mel bands, N n_fft, H heads, E head size, L layers taken.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.nn.conformer import attend
from soundcodec_llmcodec.nn.linear import linear
from soundcodec_llmcodec.nn.semantic_encoder import SemanticEncoder

_WINDOW, _HOP = 400, 160  # of its spectra, in samples at 16 kHz
_POWER_ADDED = 1e-10
_KERNEL = 31


class HamaFeedForward(nn.Module):
    """Two linear layers with a SiLU between, after a norm."""

    def __init__(self, width: int, ffn_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, ffn_width)
        self.down = nn.Linear(ffn_width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, W) to (B, F, W)."""
        raised = functional.silu(linear(self.norm(x), self.up.weight, self.up.bias))
        return linear(raised, self.down.weight, self.down.bias)


class HamaAttention(nn.Module):
    """Multi-head attention after a norm, over all frames there are."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, W) to (B, F, W)."""
        batch, frames, width = x.shape
        qkv = linear(self.norm(x), self.qkv.weight, self.qkv.bias)
        q, k, v = qkv.view(batch, frames, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = attend(q, k, v, None)
        return linear(mixed.transpose(1, 2).flatten(2), self.out.weight, self.out.bias)


class HamaConvolution(nn.Module):
    """A gated linear unit, a convolution over 31 frames feature by feature, and a linear layer, after a norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, W) to (B, F, W); there are zeros before the first frame and after the last."""
        gated = functional.glu(linear(self.norm(x), self.gate.weight, self.gate.bias), dim=-1)
        mixed = functional.silu(self.depthwise(gated.transpose(1, 2))).transpose(1, 2)
        return linear(mixed, self.out.weight, self.out.bias)


class HamaBlock(nn.Module):
    """Half a feed-forward, attention, a convolution, the other half, and a norm."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.ffn1 = HamaFeedForward(config.width, config.ffn_width)
        self.attention = HamaAttention(config.width, config.heads)
        self.convolution = HamaConvolution(config.width)
        self.ffn2 = HamaFeedForward(config.width, config.ffn_width)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, W) to (B, F, W)."""
        x = x + 0.5 * self.ffn1(x)
        x = x + self.attention(x)
        x = x + self.convolution(x)
        normed: Tensor = self.norm(x + 0.5 * self.ffn2(x))
        return normed


class HamaEncoder(SemanticEncoder):
    """Log-mel spectra, a convolution over three of them at every other one, and conformer blocks."""

    window: Tensor

    def __init__(self, config: SemanticConfig, codec: CodecConfig) -> None:
        super().__init__(config)
        self.begun_width = config.width
        self.n_fft, self.hop_length = codec.n_fft, codec.hop_length
        # Where the window of mel frame 0 begins: the first codec frame sees it and the two after it, its own in the
        # middle.
        self.first = codec.n_fft // 2 - _HOP - _WINDOW // 2
        self.register_buffer("window", torch.hann_window(_WINDOW, dtype=torch.float32, device="cpu"), persistent=False)
        self.filters = nn.Parameter(torch.zeros(config.mels, _WINDOW // 2 + 1))
        self.conv = nn.Conv1d(config.mels, config.width, 3, stride=2)
        self.blocks = nn.ModuleList(HamaBlock(config) for _ in range(max(config.layers)))

    def begun(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) samples to (B, F, W), frame by frame: what happens before frames are mixed."""
        threes = self._mels(padded).unfold(1, 3, 2).transpose(2, 3).flatten(2)
        return linear(threes, self.conv.weight.transpose(1, 2).flatten(1), self.conv.bias, gelu="none")

    def spans(self, begun: Tensor) -> Tensor:
        """Stretches of a clip (B, F, W), each for itself and seen whole, to their states (B, F, L * W)."""
        states = [begun]
        for block in self.blocks:
            states.append(block(states[-1]))
        return self.taken(states)

    def _mels(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) samples to log-mel features (B, 2 F + 1, M)."""
        frames = (padded.shape[1] - self.n_fft) // self.hop_length + 1
        with torch.autocast(padded.device.type, enabled=False):
            samples = padded[:, self.first : self.first + 2 * frames * _HOP + _WINDOW].float()
            spectrum = torch.stft(
                samples, _WINDOW, hop_length=_HOP, window=self.window, center=False, return_complex=True
            )
            power = spectrum.real.square() + spectrum.imag.square()
            return (linear(power.transpose(1, 2), self.filters) + _POWER_ADDED).log()
