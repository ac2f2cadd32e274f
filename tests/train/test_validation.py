"""The mel distance and the codebook's use that a run logs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.train.codec_validation import CodebookUse, mel_distance


def test_validation_mel_distance_of_a_known_gain(noise):
    """Over two scales: 2 log10 10 = 2 each, plus nine times the mean mel magnitude."""
    wave = 0.05 * noise(32_000)
    import librosa

    linear = 0.0
    for bands, window in ((150, 2048), (80, 512)):
        spectrum = librosa.stft(wave.numpy(), n_fft=window, hop_length=window // 4, pad_mode="reflect")
        basis = librosa.filters.mel(sr=16_000, n_fft=window, n_mels=bands)
        linear += 9 * np.abs(basis @ np.abs(spectrum)).mean()
    assert mel_distance(wave, 10 * wave, 16_000) == pytest.approx(4.0 + linear, rel=1e-3)


def test_validation_and_harness_measure_the_same_mel_distance(noise):
    """The package cannot import the harness, so the distance stands in both."""
    from eval.reconstruction.metrics import METRICS, Signal

    target, estimate = noise(20_000), 0.5 * noise(20_000, 1)
    score = METRICS["mel"].score(Signal(target.numpy(), 16_000), Signal(estimate.numpy(), 16_000))
    assert mel_distance(target, estimate, 16_000) == pytest.approx(score.value, rel=1e-5)


def test_codebook_use_of_known_counts():
    use = CodebookUse.of(torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]]), 512)
    assert (use.tokens, use.codes, use.entropy_bits, use.perplexity) == (8, 4, 2.0, 4.0)
    assert CodebookUse.of(torch.zeros(5, dtype=torch.int64), 512).entropy_bits == 0
