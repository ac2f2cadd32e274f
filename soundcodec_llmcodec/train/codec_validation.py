"""How a codec in training does on held-out clips: the leaderboard's mel distance and its use of the codebook."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.train.code_perplexity import Predictability, predictability
from soundcodec_llmcodec.train.crops import DecodedCorpus
from soundcodec_llmcodec.train.losses import magnitude, spectra

# Codec-SUPERB's mel distance: (n_mels, window) pairs, summed.
SCALES = ((150, 2048), (80, 512))


@dataclass(frozen=True)
class CodebookUse:
    """Codes in use, and the entropy of their distribution, over a number of tokens."""

    tokens: int
    codes: int
    entropy_bits: float

    @property
    def perplexity(self) -> float:
        """2 to the entropy: the size of an evenly used codebook of the same entropy."""
        return 2.0**self.entropy_bits

    @classmethod
    def of(cls, codes: Tensor, codebook_size: int) -> CodebookUse:
        """Use of the codes in a tensor of any shape."""
        counts = np.bincount(codes.flatten().numpy(), minlength=codebook_size)
        shares = counts[counts > 0] / counts.sum()
        return cls(int(counts.sum()), int((counts > 0).sum()), float(-(shares * np.log2(shares)).sum()))


@dataclass(frozen=True)
class Validation:
    """Mean mel distance over n clips (lower is better), codebook use, and how well n-grams predict the tokens."""

    n: int
    mel: float
    use: CodebookUse
    codebook_size: int
    tokens: Predictability | None = None

    def to_dict(self) -> dict[str, float]:
        """Plain numbers for a log."""
        use = {"tokens": self.use.tokens, "codes": self.use.codes, "entropy_bits": self.use.entropy_bits}
        use["codebook_size"] = self.codebook_size
        predicted = {} if self.tokens is None else self.tokens.to_dict()
        return {**predicted, "n": self.n, "mel": self.mel, **use}


def mel_distance(target: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Codec-SUPERB's mel distance between waves (S,): L1 of log10(clamp(M, 1e-5)^2) plus L1 of M, over two scales."""
    import librosa

    total = 0.0
    for bands, window in SCALES:
        basis = torch.from_numpy(librosa.filters.mel(sr=sample_rate, n_fft=window, n_mels=bands))
        original, decoded = (basis @ magnitude(spectra(x[None], (window,))[window][0]) for x in (target, estimate))
        logarithms = [2 * torch.log10(x.clamp_min(1e-5)) for x in (original, decoded)]
        total += float((logarithms[0] - logarithms[1]).abs().mean() + (original - decoded).abs().mean())
    return total


def validate(model: CodecModel, corpus: DecodedCorpus, clips: int) -> Validation:
    """Code the first `clips` clips (0: all), evenly spread over the corpus, there and back."""
    count = len(corpus.ids) if clips == 0 else min(clips, len(corpus.ids))
    chosen = [corpus.clip(int(i)) for i in np.linspace(0, len(corpus.ids) - 1, count).round()]
    codes = coding.encode_batch(model, chosen, None, coding.CHUNK_FRAMES)
    decoded = coding.decode_batch(model, codes, coding.CHUNK_FRAMES)
    # A clip shorter than the widest analysis window has no spectrum to compare.
    distances = [
        mel_distance(clip, estimate[: clip.shape[0]], model.config.sample_rate)
        for clip, estimate in zip(chosen, decoded, strict=True)
        if clip.shape[0] > max(window for _, window in SCALES)
    ]
    use = CodebookUse.of(torch.cat([item.flatten() for item in codes]), model.config.codebook_size)
    mel = float(np.mean(distances)) if distances else math.nan
    first = [item.reshape(-1, item.shape[-1])[0].cpu().numpy() for item in codes]
    size = model.config.codebook_size
    return Validation(len(distances), mel, use, size, predictability(first, size))
