"""How a codec in training does on held-out clips: the leaderboard's mel distance and its use of the codebook."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.measures.code_use import CodeUse
from soundcodec_llmcodec.measures.mel_distance import mel_distance, too_short
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.train.code_perplexity import Predictability, predictability
from soundcodec_llmcodec.train.crops import DecodedCorpus


@dataclass(frozen=True)
class Validation:
    """Mean mel distance over n clips (lower is better), codebook use, and how well n-grams predict the tokens."""

    n: int
    mel: float
    use: CodeUse
    codebook_size: int
    tokens: Predictability | None = None

    def to_dict(self) -> dict[str, float]:
        """Plain numbers for a log."""
        use = {"tokens": self.use.tokens, "codes": self.use.codes, "entropy_bits": self.use.entropy_bits}
        use["codebook_size"] = self.codebook_size
        predicted = {} if self.tokens is None else self.tokens.to_dict()
        return {**predicted, "n": self.n, "mel": self.mel, **use}


def validate(model: CodecModel, corpus: DecodedCorpus, clips: int) -> Validation:
    """Code the first `clips` clips (0: all), evenly spread over the corpus, there and back."""
    count = len(corpus.ids) if clips == 0 else min(clips, len(corpus.ids))
    chosen = [corpus.clip(int(i)) for i in np.linspace(0, len(corpus.ids) - 1, count).round()]
    codes = coding.encode_batch(model, chosen, None, coding.CHUNK_FRAMES)
    decoded = coding.decode_batch(model, codes, coding.CHUNK_FRAMES)
    distances = [
        mel_distance(clip.cpu().numpy(), estimate[: clip.shape[0]].cpu().numpy(), model.config.sample_rate)
        for clip, estimate in zip(chosen, decoded, strict=True)
        if not too_short(clip.shape[0])
    ]
    # All levels as one: the codes that the codebooks have in common count once.
    use = CodeUse.of(torch.cat([item.flatten() for item in codes])[None].cpu().numpy())
    mel = float(np.mean(distances)) if distances else math.nan
    first = [item.reshape(-1, item.shape[-1])[0].cpu().numpy() for item in codes]
    size = model.config.codebook_size
    return Validation(len(distances), mel, use, size, predictability(first, size))
