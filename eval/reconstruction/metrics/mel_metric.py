"""Multi-scale mel distance, as Codec-SUPERB computes it."""

from __future__ import annotations

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics.spectral import spectrogram, too_short
from soundcodec_llmcodec.measures.mel_distance import SCALES, MagnitudeSpectrogram, magnitude_distance, mel_magnitude


def _mel(signal: Signal, window: int, bands: int) -> MagnitudeSpectrogram:
    return spectrogram(
        signal, ("mel", window, bands), lambda: mel_magnitude(signal.magnitude(window), signal.rate, bands)
    )


def compute(reference: Signal, estimate: Signal) -> Score:
    """The distance over both scales, or the reason why there is none."""
    short = too_short(reference, max(window for _, window in SCALES))
    if short:
        return short
    scales = ((_mel(reference, window, bands), _mel(estimate, window, bands)) for bands, window in SCALES)
    return Score.of(sum(magnitude_distance(clean, decoded) for clean, decoded in scales))


METRIC = Metric(
    name="mel",
    definition=(
        "sum over (150 bands, window 2048) and (80 bands, window 512) of L1(log10(max(M, 1e-5)^2)) + L1(M), where M is "
        "|STFT| (periodic Hann, hop window/4, centred, reflect) times librosa's Slaney mel basis from 0 to rate/2, at "
        "the reference's rate"
    ),
    unit="1",
    direction="lower",
    value_range=(0.0, None),
    source="Codec-SUPERB (MelSpectrogramLoss with windows 2048 and 512)",
    version=1,
    compute=compute,
)
