"""Predicted mean opinion score of the estimate, without its reference."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.base import Metric, Score, Signal

RATE = 16_000
SHORTEST_S = 0.5


@functools.cache
def _predictor() -> Any:
    """The predictor with the models that its package carries, loaded once in a process, on one thread."""
    import onnxruntime
    from speechmos import dnsmos

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    models = Path(dnsmos.__file__).parent / "dnsmos_models"

    class OneThread(dnsmos.DNSMOS):
        def __init__(self) -> None:
            self.onnx_sess, self.p808_onnx_sess = (
                onnxruntime.InferenceSession(str(models / name), options, providers=["CPUExecutionProvider"])
                for name in ("sig_bak_ovr.onnx", "model_v8.onnx")
            )

    return OneThread()


def _mos(signal: Signal) -> float:
    # The package refuses samples beyond full scale.
    samples = np.clip(signal.at(RATE), -1.0, 1.0)
    return float(_predictor()(samples, RATE, False)["ovrl_mos"])


def _compute(reference: Signal, estimate: Signal) -> Score:
    if estimate.is_silent:
        return Score(reason="the estimate is silent")
    if estimate.seconds < SHORTEST_S:
        return Score(reason=f"{estimate.seconds:.3g} s are too short: at least {SHORTEST_S:g} s are needed")
    return Score.of(estimate.derived("dnsmos", lambda: _mos(estimate)))


METRIC = Metric(
    name="dnsmos",
    definition=(
        "overall quality that DNSMOS P.835 predicts for the estimate alone (package speechmos), at 16 kHz (soxr HQ), "
        "samples cut to full scale; mean over windows of 9.01 s, shorter clips repeated"
    ),
    unit="MOS",
    direction="higher",
    value_range=(1.0, 5.0),
    source="Reddy et al. 2022, DNSMOS P.835",
    version=1,
    compute=_compute,
    extra="eval-mos",
    needs=("speechmos", "onnxruntime"),
)
