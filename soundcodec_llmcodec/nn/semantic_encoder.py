"""What every frozen speech encoder beside the acoustic features is: it runs block by block, and never trains.

Such an encoder attends over its whole input. Here it runs over blocks of frames with some context on either side, so
that a frame's states depend on a bounded stretch of samples and not on the clip's length. Frame k is centred on the
codec's hop k, whatever the encoder's own framing.

Letters: B batch, S samples, F frames, W width, N n_fft, L layers taken, P numbers of a frame before frames are mixed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundcodec_llmcodec.config_parts import SemanticConfig


class SemanticEncoder(nn.Module, ABC):
    """Padded samples to the states of some of an encoder's layers, each brought to zero mean and unit variance.

    It stays in eval mode whatever `train` is asked for: a teacher that drops units teaches noise.
    """

    # P, the numbers of a frame that `begun` gives.
    begun_width: int

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.config = config

    def train(self, mode: bool = True) -> SemanticEncoder:
        """Eval mode, always."""
        return super().train(False)

    @property
    def states_width(self) -> int:
        """L * W, the numbers of a frame's states."""
        return len(self.config.layers) * self.config.width

    def forward(self, padded: Tensor, frame_mask: Tensor | None = None, exact: bool = False) -> Tensor:
        """(B, (F - 1) * hop + N) float32 samples to states (B, F, L * W).

        `exact` gives an item the same numbers in every batch on a CPU, where it is slower than all items together.
        """
        begun = self.begun(padded)
        if not exact or begun.device.type != "cpu":
            return self._together(begun, frame_mask)
        # Block by block, each as it would be alone, number for number.
        states = begun.new_zeros(*begun.shape[:2], self.states_width)
        frames = [begun.shape[1]] * len(begun) if frame_mask is None else frame_mask.sum(dim=1).tolist()
        for item, count in enumerate(frames):
            for start in range(0, count, self.config.block_frames):
                low, high, stop = self.config.block_around(start, count)
                states[item, start:stop] = self.block(begun[item, low:high], low - start, stop - start)
        return states

    @abstractmethod
    def begun(self, padded: Tensor) -> Tensor:
        """(B, (F - 1) * hop + N) samples to (B, F, P), frame by frame: what happens before frames are mixed."""

    @abstractmethod
    def spans(self, begun: Tensor) -> Tensor:
        """Stretches of a clip (B, F, P), each for itself and seen whole, to their states (B, F, L * W)."""

    def block(self, begun: Tensor, offset: int, count: int) -> Tensor:
        """Frames (F, P) of a block and its context, `offset` frames from the block's start, to the states
        (count, L * W) of the block's own frames."""
        return self.spans(begun[None])[0, -offset : count - offset]

    def taken(self, states: Sequence[Tensor]) -> Tensor:
        """States (B, F, W) of layers 0, 1, ... to those of the layers taken, normalised: (B, F, L * W)."""
        width = (self.config.width,)
        return torch.cat([functional.layer_norm(states[k].float(), width) for k in self.config.layers], dim=-1)

    def _together(self, begun: Tensor, frame_mask: Tensor | None) -> Tensor:
        """Blocks that see equally many frames at once: none is padded, which norms over time would notice."""
        frames = [begun.shape[1]] * len(begun) if frame_mask is None else frame_mask.sum(dim=1).tolist()
        alike: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        for item, count in enumerate(frames):
            for start in range(0, count, self.config.block_frames):
                low, high, stop = self.config.block_around(start, count)
                alike.setdefault((start - low, stop - start, high - low), []).append((item, start))
        states = begun.new_zeros(*begun.shape[:2], self.states_width, dtype=torch.float32)
        for (before, count, length), places in alike.items():
            stretches = [begun[item, start - before : start - before + length] for item, start in places]
            own = self.spans(torch.stack(stretches))[:, before : before + count]
            for place, (item, start) in enumerate(places):
                states[item, start : start + count] = own[place]
        return states
