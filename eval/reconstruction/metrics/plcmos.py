"""PLCMOS: the predicted opinion of how well lost packets are concealed, which hears gaps, clicks and robot voices."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics import opinions
from eval.reconstruction.metrics.one_thread import onnx_session

# The model hears as a rater does whose taste is a random vector. The package draws new ones in every call.
RATERS, TASTE, SEED = 15, 64, 0


@functools.cache
def _session() -> Any:
    from speechmos import plcmos

    return onnx_session(Path(plcmos.__file__).parent / "plcmos_models" / "plcmos_v2.onnx")


@functools.cache
def _tastes() -> np.ndarray:
    """The raters, float32 (RATERS, TASTE); the same for all clips."""
    return np.random.default_rng(SEED).standard_normal((RATERS, TASTE)).astype(np.float32)


def _opinion(signal: Signal) -> float:
    from speechmos import plcmos

    # Its constructor loads the model on as many threads as there are cores.
    features = plcmos.PLCMOS.__new__(plcmos.PLCMOS).stft_transform(opinions.full_scale(signal))
    batch = features.astype(np.float32)[None, None]
    votes = [_session().run(None, {"degraded_audio": batch, "rater_embed": taste[None]})[0] for taste in _tastes()]
    return float(np.mean(votes))


def _compute(reference: Signal, estimate: Signal) -> Score:
    return opinions.unusable(estimate) or Score.of(estimate.derived("plcmos", lambda: _opinion(estimate)))


METRIC = Metric(
    name="plcmos",
    definition=(
        "quality of concealed packet losses that PLCMOS v2 predicts for the estimate alone (package speechmos), at "
        f"16 kHz (soxr HQ), samples cut to full scale; mean of {RATERS} raters drawn once by numpy's default_rng"
        f"({SEED})"
    ),
    unit="MOS",
    direction="higher",
    value_range=(1.0, 5.0),
    source="Diener et al. 2023, PLCMOS",
    version=1,
    compute=_compute,
    extra="eval-all",
    needs=("speechmos", "onnxruntime"),
    judge="PLCMOS v2 of speechmos",
)
