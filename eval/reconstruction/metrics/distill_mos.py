"""DistillMOS: a predicted mean opinion score of the estimate, without its reference."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
import types
from collections.abc import Iterator
from typing import Any

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics import opinions
from eval.reconstruction.metrics.one_thread import torch_on_one_thread


@contextlib.contextmanager
def _stand_in_for(module: str) -> Iterator[None]:
    """An empty module of this name where it is not imported yet, gone again after; what imported it keeps it."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = types.ModuleType(module)
    try:
        yield
    finally:
        del sys.modules[module]


@functools.cache
def _predictor() -> Any:
    """The predictor with the weights that its package carries, loaded once in a process."""
    # Its command line alone uses torchaudio, which often cannot be installed beside a given torch.
    with _stand_in_for("torchaudio"):
        from distillmos import ConvTransformerSQAModel
    # It says on the standard output, where tables go, that it has loaded its weights.
    with contextlib.redirect_stdout(io.StringIO()):
        return ConvTransformerSQAModel().eval()


def _opinion(signal: Signal) -> float:
    import torch

    with torch_on_one_thread(), torch.inference_mode():
        return float(_predictor()(torch.tensor(signal.at(opinions.RATE))[None]))


def _compute(reference: Signal, estimate: Signal) -> Score:
    return opinions.unusable(estimate) or Score.of(estimate.derived("distillmos", lambda: _opinion(estimate)))


METRIC = Metric(
    name="distillmos",
    definition=(
        "overall quality that DistillMOS (package distillmos) predicts for the estimate alone, at 16 kHz (soxr HQ); "
        "mean over windows of 7.68 s at most 1 s apart, each scaled to a peak of 1, shorter clips with zeros after them"
    ),
    unit="MOS",
    direction="higher",
    value_range=(1.0, 5.0),
    source="Stahl and Gamper 2025, DistillMOS",
    version=1,
    compute=_compute,
    extra="eval-all",
    needs=("distillmos", "xls_r_sqa", "torch"),
    judge="DistillMOS",
    install="pip install --no-deps distillmos xls_r_sqa",
)
