"""Exact decoding of a stream, for bounded attention, and the look-ahead that it needs.

Letters: Q codebook levels, F frames, S samples, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.harmonics import Anchor, harmonic_reach
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.streaming.layers import ConformerStream, layer_lookahead


def overlapping_frames(config: CodecConfig) -> int:
    """Frames on each side whose (inverse) STFT windows reach into a frame's own hop of samples."""
    return -(-config.stft_padding // config.hop_length)


def synthesis_overlap(config: CodecConfig) -> int:
    """Frames on each side whose decoder features reach into a frame's own hop of samples."""
    return overlapping_frames(config) + (0 if config.harmonics is None else harmonic_reach(config))


def exact_lookahead(config: CodecConfig) -> int | None:
    """Frames after a frame that can change its samples; None where attention sees the whole clip."""
    if config.attention_window is None:
        return None
    return config.decoder_layers * layer_lookahead(config) + synthesis_overlap(config)


class ExactDecoder:
    """The whole clip's samples: the model runs on every `chunk_frames` frames, and each frame runs once.

    Steps lie on a grid, so the samples depend on the codes alone and not on how they were cut into pushes.
    """

    def __init__(self, model: CodecModel, chunk_frames: int) -> None:
        self.model = model
        self.chunk_frames = chunk_frames
        self.overlap = synthesis_overlap(model.config)
        self.codes = torch.zeros(model.config.num_quantizers, 0, dtype=torch.int64, device="cpu")
        self.conformer = ConformerStream(model.token2wav.conformer)
        # Features of frames whose samples are not out, and before them of those whose windows reach into theirs.
        self.features = next(model.parameters()).new_zeros(1, 0, model.config.hidden_size)
        self.past = 0
        self.cycles: Tensor | None = None  # of the harmonic source at the first frame whose samples are not out

    def push(self, codes: Tensor, last: bool) -> Tensor:
        """Codes (Q, F) to the samples that are ready."""
        self.codes = torch.cat((self.codes, codes), dim=1)
        parts = [torch.zeros(0, dtype=torch.float32, device="cpu")]
        while self.codes.shape[1] >= self.chunk_frames:
            step, self.codes = self.codes[:, : self.chunk_frames], self.codes[:, self.chunk_frames :]
            parts.append(self._step(step, False))
        if last:
            parts.append(self._step(self.codes, True))
            self.codes = self.codes[:, :0]
        return torch.cat(parts)

    def _step(self, codes: Tensor, last: bool) -> Tensor:
        embedded = self.features[:, :0]
        if codes.shape[1]:
            embedded = self.model.tokenizer.vq.embed(codes[None].to(self.features.device))
            embedded = self.model.token2wav.projected(embedded)
        self.features = torch.cat((self.features, self.conformer.push(embedded, last)), dim=1)
        waiting = self.features.shape[1] - self.past
        ready = waiting if last else max(0, waiting - self.overlap)
        if not ready:
            return torch.zeros(0, dtype=torch.float32, device="cpu")
        hop = self.model.config.hop_length
        anchor = None if self.cycles is None else Anchor(self.past, self.cycles)
        decoded = self.model.token2wav.synthesize(self.features, None, anchor)
        samples = decoded.samples[0, self.past * hop : (self.past + ready) * hop]
        if decoded.cycles is not None and not last:
            self.cycles = decoded.cycles[:, self.past + ready]
        n_past = max(0, self.past + ready - self.overlap)
        self.features, self.past = self.features[:, n_past:], self.past + ready - n_past
        return samples.cpu()
