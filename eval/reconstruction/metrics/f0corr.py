"""Correlation of pitch contours."""

from __future__ import annotations

import math

import numpy as np

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from eval.reconstruction.metrics import dtw, pitch

COMPARISON = (
    "voiced frames in cents minus their median, aligned by dynamic time warping (absolute difference; steps (1, 1), "
    "(0, 1), (1, 0)), then Pearson's correlation along the path"
)


# Its memory grows with the square of the length: 170 MiB at this one, if all of it is voiced.
LONGEST_S = 120.0


def _contour(signal: Signal, declared_rate: int | None) -> np.ndarray | None:
    """Cents above the median, float64 (voiced frames,), kept with the signal; None for a clip too short for pitch."""
    hertz = pitch.track(signal, declared_rate)
    if hertz is None:
        return None

    def make() -> np.ndarray:
        # From 440 Hz, as Codec-SUPERB has it: another origin rounds otherwise, which decides between paths of one cost.
        cents = 1200 * np.log2(hertz[hertz > 0] / 440)
        return cents - np.median(cents) if len(cents) else cents

    return signal.derived(("cents", declared_rate or signal.rate), make)


def correlation(reference: Signal, estimate: Signal, declared_rate: int | None = None) -> Score:
    """Pearson's correlation of the two contours along the cheapest warping path, or the reason why there is none."""
    contours = []
    for name, signal in (("reference", reference), ("estimate", estimate)):
        contour = _contour(signal, declared_rate)
        if contour is None:
            return Score(reason=pitch.too_short(len(signal) / (declared_rate or signal.rate)))
        if not len(contour):
            return Score(reason=f"no voiced frames in the {name}")
        if len(contour) < 2:
            return Score(reason=f"only one voiced frame in the {name}")
        contours.append(contour)
    steps = dtw.path(*contours)
    first, second = (contour[steps[:, side]] for side, contour in enumerate(contours))
    first, second = first - first.mean(), second - second.mean()
    size = math.sqrt(np.sum(first * first)) * math.sqrt(np.sum(second * second))
    if size == 0:
        return Score(reason="the pitch does not move, so that nothing can correlate with it")
    return Score.of(np.clip(np.sum(first * second) / size, -1.0, 1.0))


def _compute(reference: Signal, estimate: Signal) -> Score:
    if reference.seconds > LONGEST_S:
        return Score(reason=f"{reference.seconds:.4g} s: the warping path is sought for clips of up to {LONGEST_S:g} s")
    return silence(reference, estimate) or correlation(reference, estimate)


METRIC = Metric(
    name="f0corr",
    definition=f"{pitch.TRACK} at the clip's true rate; {COMPARISON}",
    unit="1",
    direction="higher",
    value_range=(-1.0, 1.0),
    source="Codec-SUPERB (F0CorrLoss), which declares every clip as 22,050 Hz and turns failures into 0.0",
    version=1,
    compute=_compute,
    needs=pitch.NEEDS,
)
