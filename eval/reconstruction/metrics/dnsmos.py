"""DNSMOS: predicted mean opinion scores of the estimate, without its reference, and their parts."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics import opinions
from eval.reconstruction.metrics.one_thread import onnx_session


@functools.cache
def _predictor() -> Any:
    """The predictor with the models that its package carries, loaded once in a process, on one thread."""
    from speechmos import dnsmos

    models = Path(dnsmos.__file__).parent / "dnsmos_models"

    class OneThread(dnsmos.DNSMOS):
        def __init__(self) -> None:
            self.onnx_sess = onnx_session(models / "sig_bak_ovr.onnx")
            self.p808_onnx_sess = onnx_session(models / "model_v8.onnx")

    return OneThread()


def _parts(signal: Signal) -> dict[str, float]:
    """All parts at once, by the package's names, kept with the signal."""

    def make() -> dict[str, float]:
        scores = _predictor()(opinions.full_scale(signal), opinions.RATE, False)
        return {name: float(value) for name, value in scores.items()}

    return signal.derived("dnsmos", make)


def _compute(part: str, reference: Signal, estimate: Signal) -> Score:
    return opinions.unusable(estimate) or Score.of(_parts(estimate)[part])


def _metric(name: str, part: str, what: str, source: str = "Reddy et al. 2022, DNSMOS P.835") -> Metric:
    return Metric(
        name=name,
        definition=(
            f"{what} predicts for the estimate alone (package speechmos), at 16 kHz (soxr HQ), samples cut to full "
            "scale; mean over windows of 9.01 s, shorter clips repeated"
        ),
        unit="MOS",
        direction="higher",
        value_range=(1.0, 5.0),
        source=source,
        version=1,
        compute=functools.partial(_compute, part),
        extra="eval-all",
        needs=("speechmos", "onnxruntime"),
        judge="DNSMOS of speechmos",
    )


METRICS = (
    _metric("dnsmos", "ovrl_mos", "overall quality that DNSMOS P.835"),
    _metric("dnsmos_sig", "sig_mos", "quality of the speech itself that DNSMOS P.835"),
    _metric("dnsmos_bak", "bak_mos", "quality of the background (high where little disturbs) that DNSMOS P.835"),
    _metric("dnsmos_ovrl", "ovrl_mos", "overall quality (the same as dnsmos) that DNSMOS P.835"),
    _metric("dnsmos_p808", "p808_mos", "overall quality that DNSMOS P.808", "Reddy et al. 2021, DNSMOS (P.808)"),
)
