"""Extended short-time objective intelligibility."""

from __future__ import annotations

import numpy as np

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from eval.reconstruction.metrics.octave_bands import EPS, NEEDS, SEGMENT, segments, too_short


def _normalized(values: np.ndarray) -> np.ndarray:
    """Every segment (bands, segments, frames) with mean 0 and norm 1 along frames, and then along bands."""
    for axis in (2, 0):
        values = values - values.mean(axis=axis, keepdims=True)
        # pystoi adds noise of this size instead, which makes its values differ from call to call.
        values /= np.sqrt(np.square(values).sum(axis=axis, keepdims=True)) + EPS
    return values


def _compute(reference: Signal, estimate: Signal) -> Score:
    reason = silence(reference, estimate) or too_short(reference)
    if reason:
        return reason
    clean = reference.derived("estoi segments", lambda: _normalized(segments(reference, reference)))
    decoded = _normalized(segments(estimate, reference))
    return Score.of(np.einsum("jmn,jmn->", clean, decoded) / (SEGMENT * clean.shape[1]))


METRIC = Metric(
    name="estoi",
    definition="ESTOI (Jensen and Taal 2016) from the reference's rate; equal to the package pystoi's, extended=True",
    unit="1",
    direction="higher",
    value_range=(-1.0, 1.0),
    source="Jensen and Taal 2016",
    version=1,
    compute=_compute,
    needs=NEEDS,
)
