"""Short-time objective intelligibility (the classic measure; estoi.py has the extended one)."""

from __future__ import annotations

import numpy as np

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from eval.reconstruction.metrics.octave_bands import NEEDS, PYSTOI, Rules, segments, too_short

# The signal-to-distortion ratio of a band is taken for no less than -15 dB.
_CLIP = 1 + 10 ** (15 / 20)


def _energies(values: np.ndarray) -> np.ndarray:
    """The energy of every segment, (bands, segments, 1)."""
    return np.einsum("jmn,jmn->jm", values, values)[..., None]


def _normalized(values: np.ndarray, rules: Rules) -> np.ndarray:
    """Every segment (last axis) with mean 0 and norm 1."""
    centred = values - values.mean(axis=-1, keepdims=True)
    centred /= np.sqrt(_energies(centred)) + rules.norm
    return centred


def stoi(reference: Signal, estimate: Signal, rules: Rules) -> Score:
    """STOI, or the reason why there is none."""
    short = too_short(reference, rules)
    if short:
        return short
    clean, decoded = segments(reference, reference, rules), segments(estimate, reference, rules)
    energies = reference.derived(("stoi energies", rules), lambda: _energies(clean))
    target = reference.derived(("stoi segments", rules), lambda: _normalized(clean, rules))
    scaled = decoded * np.sqrt(energies / (_energies(decoded) + rules.energy))
    np.minimum(scaled, clean * _CLIP, out=scaled)
    correlations = np.einsum("jmn,jmn->", _normalized(scaled, rules), target)
    return Score.of(correlations / (target.shape[0] * target.shape[1]))


def _compute(reference: Signal, estimate: Signal) -> Score:
    return silence(reference, estimate) or stoi(reference, estimate, PYSTOI)


METRIC = Metric(
    name="stoi",
    definition="STOI (Taal et al. 2011), not extended, from the reference's rate; equal to the package pystoi's",
    unit="1",
    direction="higher",
    value_range=(-1.0, 1.0),
    source="Taal et al. 2011; Codec-SUPERB turns failures into 0.0, here they are reasons",
    version=1,
    compute=_compute,
    needs=NEEDS,
)
