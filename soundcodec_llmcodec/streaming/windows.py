"""Approximate decoding of a stream: overlapping windows, cross-faded. For attention over the whole clip, or to be soon.

Letters: Q codebook levels, F frames, S samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from soundcodec_llmcodec.nn.harmonics import Anchor
from soundcodec_llmcodec.nn.model import CodecModel


class WindowDecoder:
    """Windows of `history` frames before, `chunk_frames` to give and `lookahead` after, with a cross-fade at each seam.

    Every window is decoded as if it were the clip, so samples are close to the whole clip's and not equal, but for a
    clip that one window holds. The fade runs over the first frame of a chunk, where the window before has samples too.
    """

    def __init__(self, model: CodecModel, chunk_frames: int, lookahead: int, history: int) -> None:
        self.model = model
        self.chunk_frames = chunk_frames
        self.lookahead = lookahead
        self.history = history
        self.codes = torch.zeros(model.config.num_quantizers, 0, dtype=torch.int64, device="cpu")
        self.past = 0
        self.before: Tensor | None = None  # the seam's next frame, as the window before had it
        self.cycles: Tensor | None = None  # of the harmonic source at the seam's next frame
        hop = model.config.hop_length
        self.rise = (torch.arange(hop, dtype=torch.float32, device="cpu") + 0.5) / hop

    def push(self, codes: Tensor, last: bool) -> Tensor:
        """Codes (Q, F) to the samples that are ready."""
        self.codes = torch.cat((self.codes, codes), dim=1)
        parts = [torch.zeros(0, dtype=torch.float32, device="cpu")]
        while self.codes.shape[1] - self.past >= self.chunk_frames + self.lookahead:
            parts.append(self._step(self.chunk_frames, self.chunk_frames + self.lookahead))
        if last and self.codes.shape[1] > self.past:
            remaining = self.codes.shape[1] - self.past
            parts.append(self._step(remaining, remaining))
        return torch.cat(parts)

    def _step(self, ready: int, end: int) -> Tensor:
        hop = self.model.config.hop_length
        window = self.codes[None, :, : self.past + end].to(next(self.model.parameters()).device)
        anchor = None if self.cycles is None else Anchor(self.past, self.cycles)
        decoded = self.model.decode_part(window, None, anchor)
        samples = decoded.samples[0, self.past * hop :].cpu()
        if decoded.cycles is not None and end > ready:
            self.cycles = decoded.cycles[:, self.past + ready]
        ready_samples = samples[: ready * hop].clone()
        if self.before is not None:
            ready_samples[:hop] = self.before + self.rise * (ready_samples[:hop] - self.before)
        self.before = samples[ready * hop : (ready + 1) * hop] if end > ready else None
        n_past = max(0, self.past + ready - self.history)
        self.codes, self.past = self.codes[:, n_past:], self.past + ready - n_past
        return ready_samples
