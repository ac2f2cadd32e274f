"""Scale-invariant signal-to-distortion ratio."""

from __future__ import annotations

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from soundcodec_llmcodec.measures.signal_to_distortion import LIMIT_DB, centred, centred_ratio


def _compute(reference: Signal, estimate: Signal) -> Score:
    silent = silence(reference, estimate)
    if silent:
        return silent
    clean = reference.derived("centred", lambda: centred(reference.samples))
    return Score.of(centred_ratio(clean, centred(estimate.samples)))


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
