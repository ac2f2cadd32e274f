"""How far the pitch is off, in cents."""

from __future__ import annotations

import numpy as np

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from eval.reconstruction.metrics import pitch


def _compute(reference: Signal, estimate: Signal) -> Score:
    silent = silence(reference, estimate)
    if silent:
        return silent
    first, second = (pitch.track(signal) for signal in (reference, estimate))
    if first is None or second is None:
        return Score(reason=pitch.too_short(reference.seconds))
    both = (first > 0) & (second > 0)
    if not np.any(both):
        return Score(reason="no frame is voiced in both")
    cents = 1200 * np.log2(second[both] / first[both])
    return Score.of(np.sqrt(np.mean(np.square(cents))))


METRIC = Metric(
    name="f0_rmse",
    definition=(
        "root of the mean squared difference of the pitch in cents (an octave is 1200) over the frames that are voiced "
        f"in both, by {pitch.TRACK} at the clip's true rate, frame by frame without warping; voicing_error tells how "
        "many frames are voiced in one only"
    ),
    unit="cents",
    direction="lower",
    value_range=(0.0, None),
    source="root mean square error of the pitch, as in speech synthesis",
    version=1,
    compute=_compute,
    needs=pitch.NEEDS,
)
