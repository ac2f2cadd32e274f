"""A codec of one's own in the harness: mu-law in 8 bits at 8 kHz, the telephone's (ITU-T G.711), 64 kbit/s.

Against others, with a metric and a data set of one's own beside it:

    python eval/superb_tiny.py --models examples/own/own_codec.py:MuLaw llmcodec --output runs/own
    python eval/superb_tiny.py --include examples/own --models MuLaw llmcodec --metrics snr mel --dataset chords

How predictable are its tokens? Here, and by a language model that knows nothing (chance):

    python eval/predictability.py --codec examples/own/own_codec.py:MuLaw
    python eval/salmon.py --models examples/own/own_codec.py:MuLaw@uniform
"""

from __future__ import annotations

import numpy as np

_MU = 255.0


class MuLaw:
    """A token a sample: the sample on a logarithmic scale in 256 steps."""

    sample_rate = 8_000
    codebook_size = 256
    token_rate = 8_000.0

    def encode(self, audio: np.ndarray) -> np.ndarray:
        """Samples float32 (S,) as codes int64 (1, S)."""
        audio = np.clip(audio, -1, 1)
        bent = np.sign(audio) * np.log1p(_MU * np.abs(audio)) / np.log1p(_MU)
        return np.rint((bent + 1) / 2 * (self.codebook_size - 1)).astype(np.int64)[None]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes int64 (1, S) as samples float32 (S,)."""
        bent = 2 * codes[0] / (self.codebook_size - 1) - 1
        return (np.sign(bent) * np.expm1(np.abs(bent) * np.log1p(_MU)) / _MU).astype(np.float32)
