"""Multi-resolution STFT distance, as Codec-SUPERB computes it."""

from __future__ import annotations

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics.spectral import spectrogram, too_short
from soundcodec_llmcodec.measures.mel_distance import MagnitudeSpectrogram, magnitude_distance

WINDOWS = (2048, 512)


def _stft(signal: Signal, window: int) -> MagnitudeSpectrogram:
    return spectrogram(signal, ("stft", window), lambda: signal.magnitude(window))


def compute(reference: Signal, estimate: Signal) -> Score:
    """The distance over both windows, or the reason why there is none."""
    short = too_short(reference, max(WINDOWS))
    if short:
        return short
    return Score.of(sum(magnitude_distance(_stft(reference, window), _stft(estimate, window)) for window in WINDOWS))


METRIC = Metric(
    name="stft",
    definition=(
        "sum over windows 2048 and 512 of L1(log10(max(|STFT|, 1e-5)^2)) + L1(|STFT|); periodic Hann, hop window/4, "
        "centred, reflect, at the reference's rate"
    ),
    unit="1",
    direction="lower",
    value_range=(0.0, None),
    source="Codec-SUPERB (MultiScaleSTFTLoss with windows 2048 and 512)",
    version=1,
    compute=compute,
)
