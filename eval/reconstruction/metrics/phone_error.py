"""Phone error rate against what the same phoneme recogniser reads in the original; needs no text."""

from __future__ import annotations

import functools
from typing import Any

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.reconstruction.metrics import words
from eval.reconstruction.metrics.capping import uncapped

RATE = 16_000
SHORTEST_S = 0.1
# Its attention is over the whole clip.
LONGEST_S = 120.0


@functools.cache
def _recogniser() -> Any:
    """The recogniser with the weights that its package carries, loaded once in a process; None where it cannot run."""
    import hama

    # The likeliest token of each frame: its own settings favour blanks less.
    plain = hama.ASRDecodeConfig(temperature=1.0, blank_bias=0.0)
    try:
        return hama.ASRModel(decode=plain)
    except RuntimeError:  # its compiled part is not there for every kind of machine
        return None


def _phones(signal: Signal) -> tuple[str, ...]:
    """The phones read in a signal, kept with it."""

    def make() -> tuple[str, ...]:
        return () if signal.is_silent else tuple(_recogniser()(signal.at(RATE), RATE).phonemes)

    return signal.derived("phones", make)


def _compute(reference: Signal, estimate: Signal) -> Score:
    if not SHORTEST_S <= reference.seconds <= LONGEST_S:
        return Score(reason=f"{reference.seconds:.3g} s: phones are read in {SHORTEST_S} to {LONGEST_S:g} s")
    if _recogniser() is None:
        return Score(reason="the package hama has no compiled part for this kind of machine")
    try:
        reference_phones, read = _phones(reference), _phones(estimate)
    except RuntimeError as error:  # its compiled part gave up on this clip
        return Score(reason=f"the phoneme recogniser: {error}")
    if not reference_phones:
        return Score(reason="the recogniser read no phones in the reference")
    return words.error_rate(reference_phones, read)


_RATE = Metric(
    name="phone_error",
    definition=(
        "substitutions, insertions and deletions over phones read in the reference, between what the phoneme "
        "recogniser of the package hama (CTC, 50 frames/s) reads in the reference and in the estimate, at 16 kHz (soxr "
        "HQ), samples cut to full scale; the likeliest token of each frame, repeats, blanks and word boundaries left "
        "out; means are weighted by the phones read in the reference"
    ),
    unit="1",
    direction="lower",
    value_range=(0.0, None),
    source="phone error rate; the package hama",
    version=1,
    compute=_compute,
    extra="eval-all",
    needs=("hama",),
    judge="the phoneme recogniser of hama",
)
METRIC = uncapped(_RATE)
