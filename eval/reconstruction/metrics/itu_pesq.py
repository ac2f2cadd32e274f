"""PESQ, wide band (ITU-T P.862.2) and narrow band (P.862.1)."""

from __future__ import annotations

import functools
from typing import Literal

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score

RATE = 16_000
SHORTEST_S = 0.25
# The package keeps at most 50 utterances in fixed arrays; Codec-SUPERB leaves out longer clips as well.
LONGEST_S = 120.0


def _compute(band: Literal["wb", "nb"], reference: Signal, estimate: Signal) -> Score:
    if not SHORTEST_S <= reference.seconds <= LONGEST_S:
        return Score(reason=f"{reference.seconds:.3g} s: PESQ takes {SHORTEST_S} to {LONGEST_S:g} s")
    silent = silence(reference, estimate)
    if silent:
        return silent
    import pesq

    try:
        value = pesq.pesq(RATE, reference.at(RATE), estimate.at(RATE), band, on_error=pesq.PesqError.RAISE_EXCEPTION)
    except pesq.PesqError as error:
        detail = error.args[0] if error.args else ""
        detail = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        return Score(reason=f"{type(error).__name__}: {detail}" if detail else type(error).__name__)
    except ValueError as error:  # of a NaN that the package came to itself
        return Score(reason=f"PESQ: {error}")
    return Score.of(value)


WIDE = Metric(
    name="pesq",
    definition="ITU-T P.862.2 wide band (MOS-LQO) by the package pesq, both signals at 16 kHz (soxr HQ)",
    unit="MOS-LQO",
    direction="higher",
    value_range=(1.0, 4.65),
    source="ITU-T P.862.2; Codec-SUPERB turns failures into 1.0, here they are reasons",
    version=1,
    compute=functools.partial(_compute, "wb"),
    needs=("pesq",),
)
NARROW = Metric(
    name="pesq_nb",
    definition=(
        "ITU-T P.862 narrow band, mapped to MOS-LQO by P.862.1, by the package pesq, both signals at 16 kHz (soxr HQ); "
        "its receiving filter leaves what is beyond about 3.4 kHz out"
    ),
    unit="MOS-LQO",
    direction="higher",
    value_range=(1.0, 4.55),
    source="ITU-T P.862 and P.862.1",
    version=1,
    compute=functools.partial(_compute, "nb"),
    needs=("pesq",),
)
METRICS = (WIDE, NARROW)
