"""Pitch tracks by Praat, shared by the metrics of pitch and voicing."""

from __future__ import annotations

import numpy as np

from eval.harness.metric import Signal

FLOOR_HZ = 50.0
CEILING_HZ = 1100.0
VOICING_THRESHOLD = 0.6
# What metrics of pitch need.
NEEDS = ("parselmouth",)
STEP_S = 256 / 22_050  # 11.6 ms, as Codec-SUPERB has it
# Praat looks at three periods of the lowest pitch at once.
SHORTEST_S = 3 / FLOOR_HZ

TRACK = (
    f"Praat's autocorrelation pitch (voicing threshold {VOICING_THRESHOLD}, {FLOOR_HZ:g} to {CEILING_HZ:g} Hz, a frame "
    "every 256/22050 s)"
)


def track(signal: Signal, declared_rate: int | None = None) -> np.ndarray | None:
    """Pitch float64 (F,) in Hz, 0 in unvoiced frames, kept with the signal; None for less than SHORTEST_S.

    With `declared_rate` the samples are taken for samples at that rate, whatever theirs is.
    """
    rate = declared_rate or signal.rate
    return signal.derived(("pitch", rate), lambda: _track(signal.samples, rate))


def _track(samples: np.ndarray, rate: int) -> np.ndarray | None:
    if len(samples) / rate <= SHORTEST_S:
        return None
    import parselmouth

    sound = parselmouth.Sound(samples, sampling_frequency=rate)
    pitch = sound.to_pitch_ac(
        time_step=STEP_S, voicing_threshold=VOICING_THRESHOLD, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ
    )
    return np.asarray(pitch.selected_array["frequency"], dtype=np.float64)


def too_short(seconds: float) -> str:
    """The reason for a clip without a track."""
    return f"{seconds:.3g} s are too short for pitch: more than {SHORTEST_S:g} s are needed"
