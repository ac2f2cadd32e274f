"""Multi-resolution STFT distance, as Codec-SUPERB computes it."""

from __future__ import annotations

from eval.metrics.base import Metric, Score, Signal
from eval.metrics.spectral import distance, too_short

WINDOWS = (2048, 512)


def _compute(reference: Signal, estimate: Signal) -> Score:
    short = too_short(reference, max(WINDOWS))
    if short:
        return short
    return Score.of(sum(distance(reference.magnitude(window), estimate.magnitude(window)) for window in WINDOWS))


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
    compute=_compute,
)
