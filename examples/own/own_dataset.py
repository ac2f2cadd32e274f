"""A data set of one's own in the harness: chords, made when they are asked for.

    python eval/superb_tiny.py --include examples/own/own_dataset.py --dataset chords --models llmcodec identity

A folder of sound files, parquet files and data sets of the hub need no such function: --dataset takes them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eval.harness.include import dataset

RATE = 16_000
_CHORDS = {"C major": (262, 330, 392), "A minor": (220, 262, 330), "G seventh": (196, 247, 294, 349)}


@dataset(size=2 * len(_CHORDS), synthetic=True)  # synthetic: the table says that its numbers are not for reporting
def chords() -> Iterator[tuple[str, np.ndarray, int, str]]:
    """Rows (id, audio float32 (S,), rate in Hz, text) of two seconds each, plucked and held."""
    time = np.arange(2 * RATE) / RATE
    for name, notes in _CHORDS.items():
        held = sum(np.sin(2 * np.pi * note * time) for note in notes) / len(notes)
        for way, envelope in (("held", np.full_like(time, 0.5)), ("plucked", np.exp(-3 * time))):
            yield f"{name.replace(' ', '-')}-{way}", (envelope * held).astype(np.float32), RATE, f"{name}, {way}"
