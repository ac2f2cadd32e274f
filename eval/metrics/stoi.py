"""Short-time objective intelligibility (the classic measure, not the extended one)."""

from __future__ import annotations

import warnings

import pystoi

from eval.metrics.base import Metric, Score, Signal, silence

_TOO_SHORT = "Not enough STFT frames"


def _compute(reference: Signal, estimate: Signal) -> Score:
    silent = silence(reference, estimate)
    if silent:
        return silent
    # pystoi cannot frame fewer than 256 samples at its 10 kHz.
    if reference.seconds * 10_000 <= 257:
        return Score(reason=f"{reference.seconds:.3g} s are too short")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = pystoi.stoi(reference.samples, estimate.samples, reference.rate, extended=False)
    for warning in caught:
        # pystoi then gives 1e-5, which is no measurement.
        if _TOO_SHORT in str(warning.message):
            return Score(reason="less than 0.4 s of sound: STOI needs 30 frames that are not silent")
    return Score.of(value)


METRIC = Metric(
    name="stoi",
    definition="STOI (Taal et al. 2011) by the package pystoi, not extended, from the reference's rate",
    unit="1",
    direction="higher",
    value_range=(-1.0, 1.0),
    source="Taal et al. 2011; Codec-SUPERB turns failures into 0.0, here they are reasons",
    version=1,
    compute=_compute,
)
