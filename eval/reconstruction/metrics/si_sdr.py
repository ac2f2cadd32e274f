"""Scale-invariant signal-to-distortion ratio."""

from __future__ import annotations

import math

import numpy as np

from eval.reconstruction.metrics.metric import Metric, Score, Signal, silence

LIMIT_DB = 100.0


def _centred(signal: Signal) -> np.ndarray:
    """The samples in float64 (S,), their mean taken off."""
    samples = signal.samples.astype(np.float64)
    return samples - samples.mean()


def _compute(reference: Signal, estimate: Signal) -> Score:
    silent = silence(reference, estimate)
    if silent:
        return silent
    clean = reference.derived("centred", lambda: _centred(reference))
    made = _centred(estimate)
    # The part of the estimate that is the reference, scaled; the rest is distortion.
    target = (np.sum(made * clean) / np.sum(clean * clean)) * clean
    wanted, unwanted = np.sum(np.square(target)), np.sum(np.square(made - target))
    if unwanted == 0:
        return Score(LIMIT_DB)
    if wanted == 0:
        return Score(-LIMIT_DB)
    return Score.of(np.clip(10 * math.log10(wanted / unwanted), -LIMIT_DB, LIMIT_DB))


METRIC = Metric(
    name="si_sdr",
    definition=(
        "10 log10(|t|^2 / |e - t|^2), where t = (<e, r> / <r, r>) r, for the samples r of the reference and e of the "
        "estimate, the mean of each taken off; cut to -100..100 dB, which stands for equal signals and for "
        "orthogonal ones as well"
    ),
    unit="dB",
    direction="higher",
    value_range=(-LIMIT_DB, LIMIT_DB),
    source="Le Roux et al. 2019, SDR - half-baked or well done?",
    version=1,
    compute=_compute,
)
