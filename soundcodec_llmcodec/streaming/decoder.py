"""StreamDecoder: ids as they come to samples as they are ready.

Letters: Q codebook levels, F frames, S samples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec.audio_files import check_rate
from soundcodec_llmcodec.coding import exact_inference
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.streaming.exact import ExactDecoder, exact_lookahead
from soundcodec_llmcodec.streaming.rates import RateStream, resampling_delay_s
from soundcodec_llmcodec.streaming.stream import CHUNK_FRAMES, Stream, positive
from soundcodec_llmcodec.streaming.windows import WindowDecoder
from soundcodec_llmcodec.token_ids import TokenError, parse_codes

UNBOUNDED_LOOKAHEAD = 64
# Windows hold so many times their look-ahead of what was: more of it changes less than the look-ahead leaves out.
_HISTORY_RATIO, _LEAST_HISTORY = 4, 64
_PIECE = re.compile(r"<(?:C(?:O(?:D(?:E(?:C(?:_(?:-?\d{0,18})?)?)?)?)?)?)?\Z")


class StreamDecoder(Stream):
    """Push ids, get float32 samples.

    With a bounded attention window the samples, put together, are those of decoding all ids at once (to float32
    rounding), however the ids are cut into pushes; a frame's samples come out `latency_s` after its ids, at most, in
    a stream of `frame_rate` frames a second. A smaller `lookahead_frames`, or attention over the whole clip, makes
    the stream approximate: overlapping windows of `history_frames` and `lookahead_frames`, cross-faded over a frame.
    Magnitudes are close then; with a harmonic source, a pitch that is decided otherwise moves the harmonics' phases
    from there on.
    """

    def __init__(
        self,
        model: CodecModel,
        *,
        chunk_frames: int = CHUNK_FRAMES,
        sampling_rate: int | None = None,
        lookahead_frames: int | None = None,
    ) -> None:
        """The model runs once for `chunk_frames` new frames: fewer is sooner, more is less work.

        `sampling_rate` (Hz) is the samples' rate, the codec's own where it is None. `lookahead_frames` of None is what
        exact samples need, or UNBOUNDED_LOOKAHEAD where no number does.
        """
        super().__init__()
        config = model.config
        self.model = model
        self.chunk_frames = positive("chunk_frames", chunk_frames)
        self.sampling_rate = config.sample_rate if sampling_rate is None else check_rate(sampling_rate)
        needed = exact_lookahead(config)
        frames_ahead = None if lookahead_frames is None else positive("lookahead_frames", lookahead_frames)
        lookahead = frames_ahead or (UNBOUNDED_LOOKAHEAD if needed is None else needed)
        self.lookahead_frames = lookahead if needed is None else min(lookahead, needed)
        self.exact = self.lookahead_frames == needed
        self._begin()

    @property
    def history_frames(self) -> int | None:
        """Frames of the past that a window holds; None where the stream is exact and none is missing."""
        if self.exact:
            return None
        history = max(_LEAST_HISTORY, _HISTORY_RATIO * self.lookahead_frames)
        context = self.model.config.context_frames(self.model.config.decoder_layers)
        return history if context is None else min(history, context)

    @property
    def latency_s(self) -> float:
        """Seconds from a frame's ids to its samples, at most, where frames are pushed one by one at `frame_rate`.

        The frames that it waits for: the look-ahead, and at most `chunk_frames` - 1 until the model runs; and what
        the resampler holds back where `sampling_rate` is another than the codec's. Computing is not counted.
        """
        config = self.model.config
        frames = self.lookahead_frames + self.chunk_frames - 1
        return frames / config.frame_rate + resampling_delay_s(config.sample_rate, self.sampling_rate)

    @property
    def pending_frames(self) -> int:
        """Frames that were pushed and whose samples have not come out."""
        return self._pushed - self._decoded

    def push(self, data: Any) -> np.ndarray:
        """Ids to the samples (S,) float32 that are ready, maybe none.

        `data` is one id, or ids in any form that `LLMCodec.decode` takes, in any number, (F,) or (Q, F); text may be
        cut anywhere, also inside a "<CODEC_i>". Raises TokenError for what is no id of this codec's (and then takes
        nothing of the push) and StreamError after flush or close.
        """
        self._check_open()
        codes, self._text = self._codes_of(data)
        return self._decode(codes, last=False)

    def flush(self) -> np.ndarray:
        """The rest of the samples (S,); the clip ends here, as the whole clip's decoding would end it."""
        if self._text:
            raise TokenError(f"the text ends inside a token, with {self._text!r}; push the rest of it or reset()")
        if not self._end():
            return np.zeros(0, dtype=np.float32)
        return self._decode(self._none(), last=True)

    def _begin(self) -> None:
        self._pushed = 0
        self._decoded = 0
        self._text = ""
        self._decoder = self._new_decoder()
        self._rates = RateStream(self.model.config.sample_rate, self.sampling_rate)

    def _new_decoder(self) -> ExactDecoder | WindowDecoder:
        if self.history_frames is None:
            return ExactDecoder(self.model, self.chunk_frames)
        return WindowDecoder(self.model, self.chunk_frames, self.lookahead_frames, self.history_frames)

    def _decode(self, codes: Tensor, last: bool) -> np.ndarray:
        self._pushed += codes.shape[1]
        with exact_inference(self.model):
            samples = self._decoder.push(codes, last and self._pushed > 0)
        self._decoded += len(samples) // self.model.config.hop_length
        return self._rates.push(samples.numpy(), last)

    def _codes_of(self, data: Any) -> tuple[Tensor, str]:
        """(codes (Q, F) with F >= 0, the beginning of a token that the next push goes on with)."""
        if isinstance(data, (list, tuple)) and data and all(isinstance(piece, str) for piece in data):
            data = "".join(data)
        if isinstance(data, str):
            data = self._text + data
            cut = _PIECE.search(data)
            whole, rest = (data[: cut.start()], cut[0]) if cut else (data, "")
            return (self._parsed(whole) if whole.strip() else self._none()), rest
        if self._text:
            raise TokenError(f"the text before ended inside a token, with {self._text!r}; push the rest of it first")
        if isinstance(data, Integral) and not isinstance(data, bool):
            data = [int(data)]
        if not isinstance(data, (torch.Tensor, np.ndarray)):
            return (self._none() if isinstance(data, Sequence) and not data else self._parsed(data)), ""
        if data.ndim == 0:
            data = data.reshape(1)
        return (self._none() if 0 in data.shape else self._parsed(data)), ""

    def _parsed(self, tokens: Any) -> Tensor:
        config = self.model.config
        try:
            return parse_codes(tokens, config.codebook_size, config.num_quantizers)
        except TokenError as error:
            if len(config.levels_to_decode) == 1 or "shape" not in str(error):
                raise
            raise TokenError(f"{error}; a stream takes all levels: fewer by codec.with_levels(N)") from error

    def _none(self) -> Tensor:
        return torch.zeros(self.model.config.num_quantizers, 0, dtype=torch.int64, device="cpu")
