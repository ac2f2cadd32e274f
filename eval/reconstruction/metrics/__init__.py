"""The metrics by name. A new one is a file with a METRIC (or several), and a place in the list below; one's own comes
from a file of one's own (eval.harness.include)."""

from __future__ import annotations

from collections.abc import Iterable

from eval.harness.metric import Metric, Signal
from eval.harness.metric_registry import METRICS, PLACES, register_built_in
from eval.harness.score import Score
from eval.reconstruction.default_metrics import DEFAULT
from eval.reconstruction.metrics import (
    distill_mos,
    dnsmos,
    dwer,
    estoi,
    f0_rmse,
    f0corr,
    itu_pesq,
    mcd,
    mel_metric,
    phone_error,
    plcmos,
    si_sdr,
    speaker_sim,
    stft_metric,
    stoi,
    voicing_error,
    waveform,
    wer,
)
from eval.reconstruction.metrics.recogniser import RECOGNISERS
from eval.reconstruction.metrics.superb_rules import SUPERB_METRICS, SUPERB_NAMES
from soundcodec_llmcodec.nearest import did_you_mean

_KNOWN = (
    mel_metric.METRIC,
    stft_metric.METRIC,
    mcd.METRIC,
    waveform.METRIC,
    *itu_pesq.METRICS,
    stoi.METRIC,
    estoi.METRIC,
    f0corr.METRIC,
    f0_rmse.METRIC,
    voicing_error.METRIC,
    si_sdr.METRIC,
    *wer.METRICS,
    *dwer.METRICS,
    speaker_sim.METRIC,
    phone_error.METRIC,
    *dnsmos.METRICS,
    distill_mos.METRIC,
    plcmos.METRIC,
    *SUPERB_METRICS,
)
register_built_in(_KNOWN)
# The recogniser of a plain `wer` may be named as well.
_DEFAULT_RECOGNISER = f"@{RECOGNISERS[0].name}"

# What can be computed with no extra but `eval`, by this harness's own rules.
ALL = tuple(name for name, metric in METRICS.items() if metric.extra is None and name not in SUPERB_NAMES)

__all__ = [
    "ALL",
    "DEFAULT",
    "METRICS",
    "SUPERB_NAMES",
    "Metric",
    "Score",
    "Signal",
    "named",
    "require",
]


def named(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, each once, in this order; 'all' stands for ALL and for included ones,
    `wer@whisper-tiny` for `wer`.

    Raises ValueError for a name that is not registered.
    """
    chosen: dict[str, Metric] = {}
    for name in names:
        if name == "all":
            chosen.update((each, METRICS[each]) for each in (*ALL, *PLACES))
            continue
        name = name.removesuffix(_DEFAULT_RECOGNISER) if name not in METRICS else name
        if name not in METRICS:
            hint = did_you_mean(name, METRICS, ".")
            raise ValueError(f"no metric is called {name!r}{hint} The metrics are: all, {', '.join(METRICS)}")
        chosen[name] = METRICS[name]
    return tuple(chosen.values())


def require(metrics: Iterable[Metric]) -> None:
    """Raise ValueError, saying what to install, where what a metric needs is not installed or cannot be imported."""
    unusable = [reason for metric in metrics if (reason := metric.unusable)]
    if unusable:
        raise ValueError("; ".join(unusable))
