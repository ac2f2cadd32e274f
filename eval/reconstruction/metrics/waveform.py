"""Waveform distance, as Codec-SUPERB computes it."""

from __future__ import annotations

import numpy as np

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score


def compute(reference: Signal, estimate: Signal) -> Score:
    """The mean absolute difference of the samples."""
    return Score.of(np.mean(np.abs(reference.samples - estimate.samples), dtype=np.float64))


METRIC = Metric(
    name="waveform",
    definition="mean absolute difference of the samples (full scale is 1) at the reference's rate",
    unit="1",
    direction="lower",
    value_range=(0.0, None),
    source="Codec-SUPERB (L1Loss)",
    version=1,
    compute=compute,
)
