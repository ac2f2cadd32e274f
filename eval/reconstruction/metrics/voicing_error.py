"""How often the estimate is voiced where the reference is not, and the other way round."""

from __future__ import annotations

import numpy as np

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from eval.reconstruction.metrics import pitch


def _compute(reference: Signal, estimate: Signal) -> Score:
    silent = silence(reference, estimate)
    if silent:
        return silent
    tracks = [pitch.track(signal) for signal in (reference, estimate)]
    if tracks[0] is None or tracks[1] is None:
        return Score(reason=pitch.too_short(reference.seconds))
    return Score.of(np.mean((tracks[0] > 0) != (tracks[1] > 0)))


METRIC = Metric(
    name="voicing_error",
    definition=(
        f"share of the frames of which one is voiced and the other is not, by {pitch.TRACK} at the clip's true rate, "
        "frame by frame without warping"
    ),
    unit="1",
    direction="lower",
    value_range=(0.0, 1.0),
    source="Nakatani et al. 2008 (voicing decision error)",
    version=1,
    compute=_compute,
    needs=pitch.NEEDS,
)
